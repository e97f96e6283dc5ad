"""The sources file: what it may say, and one sentence with file, line and key for what it may not."""

from pathlib import Path

import pytest

from bike_assets.model.errors import WrongSettings
from bike_assets.sources.config import GbfsSource, JcdecauxSource, load_sources

OSLO = '[[systems]]\nkind = "gbfs"\nsystem_id = "oslo"\nurl = "https://oslo.example/gbfs.json"\n'
LYON = '[[systems]]\nkind = "jcdecaux"\ncontract = "Lyon"\n'
BOTH = '[[systems]]\nkind = "jcdecaux"\ncontracts = ["lyon", "nantes"]\n'


def load(tmp_path: Path, text: str) -> tuple[GbfsSource | JcdecauxSource, ...]:
    path = tmp_path / "sources.toml"
    path.write_text(text, encoding="utf-8")
    return load_sources(path)


def test_entries_of_both_kinds_are_read(tmp_path: Path) -> None:
    profile = 'poll_seconds = 30\ntimezone = "Europe/Oslo"\nname = "Bysykkel"\ncity = "Oslo"\ncountry = "NO"\n'
    oslo, lyon = load(tmp_path, f"{OSLO}{profile}\n{LYON}")
    assert oslo == GbfsSource(
        system_id="oslo", url="https://oslo.example/gbfs.json", poll_seconds=30, timezone="Europe/Oslo",
        name="Bysykkel", city="Oslo", country="NO",
    )
    assert lyon == JcdecauxSource(version=1, contract="Lyon")
    assert (oslo.system_ids, oslo.asked_as) == (("oslo",), "oslo")
    assert (lyon.system_ids, lyon.asked_as) == (("jcdecaux:lyon",), "jcdecaux:lyon")


def test_several_contracts_are_asked_as_all_contracts(tmp_path: Path) -> None:
    (source,) = load(tmp_path, BOTH)
    assert (source.system_ids, source.asked_as) == (("jcdecaux:lyon", "jcdecaux:nantes"), "jcdecaux")


KEY_GOES = "BIKE_JCDECAUX_KEY"


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        (f"{OSLO}interval = 5\n", "line 5, interval", "unknown field interval"),
        (f'{OSLO}poll_seconds = "5"\n', "line 5, poll_seconds", "Expected int"),
        (f"{OSLO}poll_seconds = 0\n", "line 5, poll_seconds", "Expected int >= 1"),
        (f'{OSLO}country = "Norway"\n', "line 5, country", "Expected str"),
        (f'{OSLO}timezone = "Oslo"\n', "line 5, timezone", "no such time zone"),
        (f'{OSLO}timezone = "../x"\n', "line 5, timezone", "no such time zone"),
        ('\n[[systems]]\nkind = "gbfs"\nsystem_id = "a"\n', "line 2, url", "missing required field url"),
        ('[[systems]]\nsystem_id = "a"\n', "line 1, kind", "missing required field kind"),
        ('[[systems]]\nkind = "bus"\n', "line 2, kind", "Invalid value 'bus'"),
        (OSLO.replace('"oslo"', '""'), "line 3, system_id", "Expected str of length >= 1"),
        (OSLO.replace('"oslo"', '"a/b"'), "line 3, system_id", "neither a slash nor control characters"),
        (OSLO.replace('"oslo"', r'"a\nb"'), "line 3, system_id", "neither a slash nor control characters"),
        (OSLO.replace('"oslo"', '"jcdecaux"'), "line 3, system_id", "stands for all JCDecaux contracts"),
        (OSLO.replace("https", "ftp"), "line 4, url", "give an http or https URL"),
        (OSLO.replace("https://oslo.example", "file://"), "line 4, url", "give an http or https URL"),
        (OSLO.replace("oslo.example", "oslo.example:x"), "line 4, url", "this is no URL"),
        (OSLO.replace("gbfs.json", "gbfs.json?apiKey=canary-1"), "line 4, url", KEY_GOES),
        (OSLO.replace("oslo.example", "me:canary-1@oslo.example"), "line 4, url", KEY_GOES),
        (f'{LYON}key = "canary-1"\n', "line 4, key", KEY_GOES),
        (f'{LYON}apiKey = "canary-1"\n', "line 4, apiKey", KEY_GOES),
        (f"{LYON}version = 2\n", "line 4, version", "Invalid enum value 2"),
        (LYON.replace('"Lyon"', '"a/b"'), "line 3, contract", "neither a slash nor control characters"),
        (BOTH.replace("nantes", "a/b"), "line 3, contracts", "neither a slash nor control characters"),
        (BOTH.replace('"nantes"', "5"), "line 3, contracts", "Expected str, got int"),
        (f'{BOTH}contract = "lyon"\n', "line 4, contract", "give either contract or contracts"),
        ('[[systems]]\nkind = "jcdecaux"\n', "line 1, contract", "give either contract or contracts"),
        ('[[systems]]\nkind = "jcdecaux"\ncontracts = []\n', "line 3, contracts", "Expected array of length >= 1"),
        (f'{BOTH}timezone = "Europe/Paris"\n', "line 4, timezone", "give this one an entry of its own"),
        (f"{LYON}\n{BOTH}", "line 5", "jcdecaux:lyon is polled already by the entry at line 1"),
        (f"{OSLO}{OSLO}", "line 5", "oslo is polled already by the entry at line 1"),
        (LYON + OSLO.replace('"oslo"', '"jcdecaux:lyon"'), "line 4", "jcdecaux:lyon is polled already"),
        (f"poll = 5\n{OSLO}", "line 1, poll", "nothing but [[systems]]"),
        ("systems = [{kind = 'gbfs', system_id = 'a'}]", "entry 1, url", "missing required field url"),
        ("systems = [5]", "entry 1", "it is no table"),
        ("", "", "names no system"),
        ("systems = 5", "", "names no system"),
        ("[[systems]\n", "", "is no TOML: "),
    ],
)
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, place: str, sentence: str) -> None:
    with pytest.raises(WrongSettings) as caught:
        load(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(str(tmp_path / "sources.toml"))
    assert place in said
    assert sentence in said
    assert "canary" not in said


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"nowhere\.toml does not exist: `bike sources add` makes it"):
        load_sources(tmp_path / "nowhere.toml")
