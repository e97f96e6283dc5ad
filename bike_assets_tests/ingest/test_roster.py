"""Whom the sources file names, as it is looked at again: no waiting here, each look is made by the test."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.roster import Roster
from bike_assets.model.errors import WrongSettings
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults

OSLO = '[[systems]]\nkind = "gbfs"\nsystem_id = "oslo"\nurl = "https://oslo.example/gbfs.json"\n'
BERGEN = OSLO.replace("oslo", "bergen")
LYON = '[[systems]]\nkind = "jcdecaux"\ncontract = "lyon"\n'


class Looked:
    """A sources file, and a roster that looks at it when it is told to."""

    def __init__(self, file: Path, text: str, key: str | None = None) -> None:
        defaults = Defaults(60, "https://jcdecaux.example", None if key is None else SecretStr(key))
        self.file, self.fetcher = file, Fetcher(10, 10**7)
        self.file.write_text(text)
        self.roster = Roster(file, lambda source: SourceAsker(source, defaults, self.fetcher))

    def asker(self, system_id: str) -> SourceAsker:
        return next(each for each in self.roster.askers if system_id in each.system_ids)

    @property
    def system_ids(self) -> set[str]:
        return {system_id for each in self.roster.askers for system_id in each.system_ids}

    def after(self, text: str) -> bool:
        """Whether others are asked after the file has this text, and stood still."""
        self.file.write_text(text)
        assert not self.roster.look(), "it may be half written"
        return self.roster.look()


@pytest.fixture
def looked(tmp_path: Path) -> Looked:
    return Looked(tmp_path / "sources.toml", OSLO)


def test_while_nothing_changes_nobody_is_asked_anew(looked: Looked) -> None:
    assert [looked.roster.look() for _ in range(3)] == [False] * 3
    assert looked.system_ids == {"oslo"}


def test_who_is_added_comes_who_is_removed_goes_and_who_stays_keeps_what_it_learnt(looked: Looked) -> None:
    oslo = looked.asker("oslo")
    assert looked.after(BERGEN + OSLO)
    assert looked.system_ids == {"oslo", "bergen"}
    assert looked.asker("oslo") is oslo
    assert looked.after(BERGEN)
    assert looked.system_ids == {"bergen"}
    assert looked.after(BERGEN + OSLO)
    assert looked.asker("oslo") is not oslo, "it may have been away for long"


def test_a_source_that_is_changed_is_asked_anew_and_its_words_hold(looked: Looked) -> None:
    oslo = looked.asker("oslo")
    assert looked.after(OSLO + 'poll_seconds = 5\nname = "Oslo by bike"\n')
    assert looked.asker("oslo") is not oslo
    assert looked.asker("oslo").poll_seconds == 5
    assert looked.roster.profile_of("oslo").name == "Oslo by bike"
    assert looked.roster.profile_of("bergen").name is None


def test_a_comment_changes_nothing(looked: Looked) -> None:
    oslo = looked.asker("oslo")
    assert not looked.after(f"# mine\n{OSLO}")
    assert looked.asker("oslo") is oslo


def test_a_file_that_is_being_written_is_waited_for(looked: Looked) -> None:
    for text in ("[[systems]]\n", f"{BERGEN}[[syst", BERGEN + OSLO):
        looked.file.write_text(text)
        assert not looked.roster.look()
        assert looked.roster.trouble is None
    assert looked.roster.look()
    assert looked.system_ids == {"oslo", "bergen"}


@pytest.mark.parametrize(("text", "said"), [
    ("[[systems]\n", "is no TOML"),
    ("# all gone\n", "names no system"),
    (f"{OSLO}speed = 1\n", "line 5, speed: "),
    (OSLO + OSLO, "oslo is polled already by the entry at line 1"),
    (OSLO + LYON, "BIKE_JCDECAUX_KEY is not set"),
], ids=["no TOML", "nothing", "unknown key", "double", "no key"])  # fmt: skip
def test_a_file_that_is_wrong_changes_nothing_and_says_so_until_it_is_mended(
    looked: Looked, text: str, said: str
) -> None:
    oslo = looked.asker("oslo")
    assert not looked.after(text)
    assert said in (looked.roster.trouble or "")
    assert looked.asker("oslo") is oslo
    assert not looked.roster.look()
    assert said in (looked.roster.trouble or ""), "it is told for as long as it is so"
    assert not looked.after(OSLO)
    assert looked.roster.trouble is None
    assert looked.asker("oslo") is oslo


def test_a_file_that_is_gone_changes_nothing_until_it_is_there_again(looked: Looked) -> None:
    aside = looked.file.rename(looked.file.with_name("aside.toml"))
    assert not looked.roster.look()
    assert not looked.roster.look()
    assert "does not exist" in (looked.roster.trouble or "")
    assert looked.system_ids == {"oslo"}
    aside.rename(looked.file)
    assert not looked.roster.look()
    assert not looked.roster.look()
    assert looked.roster.trouble is None


def test_a_file_put_in_the_place_of_another_of_the_same_size_and_time_is_seen(looked: Looked) -> None:
    other = looked.file.with_name("other.toml")
    other.write_text(OSLO.replace("oslo", "olso"))
    before = looked.file.stat()
    other.replace(looked.file)
    os.utime(looked.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not looked.roster.look()
    assert looked.roster.look()
    assert looked.system_ids == {"olso"}


def test_contracts_are_regrouped(tmp_path: Path) -> None:
    both = LYON.replace('contract = "lyon"', 'contracts = ["lyon", "nantes"]')
    looked = Looked(tmp_path / "sources.toml", both, key="0123456789")
    assert looked.after(LYON + OSLO)
    assert looked.system_ids == {"jcdecaux:lyon", "oslo"}


def test_a_start_with_a_wrong_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="names no system"):
        Looked(tmp_path / "sources.toml", "")
