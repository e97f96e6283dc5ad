"""Entries put into a sources file: what was there stays to the letter, and what comes is read back as it was meant."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bike_assets.model.errors import WrongSettings
from bike_assets.sources.catalogue import catalogue, source_of
from bike_assets.sources.config import GbfsSource, JcdecauxSource, Source, parse_sources
from bike_assets.sources.entries import entry, with_entries

FILE = Path("sources.toml")
OSLO = GbfsSource(system_id="oslo", url="https://oslo.example/gbfs.json", city="Oslo", country="NO")
LYON = JcdecauxSource(contract="lyon")
BERGEN = """\
# Mine.
[[systems]]  # the west
kind = 'gbfs'
system_id = "bergen"
url = "https://bergen.example/gbfs.json"   # keep
"""


@pytest.mark.parametrize("text", [
    "", "# nothing yet\n", "# nothing yet", BERGEN, BERGEN.rstrip("\n"), BERGEN.replace("\n", "\r\n"),
    f"{BERGEN}\n\n# the end\n",
], ids=["empty", "comment", "comment without end", "file", "no end", "crlf", "comment at its end"])  # fmt: skip
def test_what_was_there_stays_and_what_comes_stands_after_it(text: str) -> None:
    after = with_entries(FILE, text, [OSLO, LYON])
    assert after.startswith(text)
    assert parse_sources(FILE, after) == (*parse_sources(FILE, text), OSLO, LYON)
    assert ("\r\n" in text) == ("\r\n" in after)
    assert after.count("\r\n") in {0, after.count("\n")}


def test_an_entry_says_what_its_source_says_and_no_more() -> None:
    assert entry(OSLO).splitlines() == [
        "[[systems]]",
        'kind = "gbfs"',
        'system_id = "oslo"',
        'url = "https://oslo.example/gbfs.json"',
        'city = "Oslo"',
        'country = "NO"',
    ]
    assert entry(LYON) == '[[systems]]\nkind = "jcdecaux"\ncontract = "lyon"\n'


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)


@given(name=TEXTS, city=TEXTS)
def test_any_text_is_read_back(name: str, city: str) -> None:
    source: Source = GbfsSource(system_id="oslo", url="https://oslo.example", name=name, city=city)
    assert parse_sources(FILE, with_entries(FILE, "", [source])) == (source,)


def test_a_file_in_another_form_is_left_to_its_owner() -> None:
    text = 'systems = [{kind = "jcdecaux", contract = "nantes"}]\n'
    with pytest.raises(WrongSettings, match=r"^oslo cannot be added to sources.toml by a \[\[systems\]\] entry"):
        with_entries(FILE, text, [OSLO])


def test_a_file_that_is_wrong_already_is_told_with_its_own_mistake() -> None:
    with pytest.raises(WrongSettings, match=r"^sources.toml, line 6, speed: "):
        with_entries(FILE, f"{BERGEN}speed = 3\n", [OSLO])


def test_every_system_that_the_catalogue_makes_a_source_of_can_be_an_entry() -> None:
    sources = []
    for system_id in {each.system_id for each in catalogue()}:
        with suppress(WrongSettings):  # those that cannot be asked, by their own tests
            sources.append(source_of(system_id))
    assert len(sources) > 1500
    assert parse_sources(FILE, with_entries(FILE, "", sources)) == tuple(sources)
