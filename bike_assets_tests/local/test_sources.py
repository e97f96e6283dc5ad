"""`bike sources find`, `add` and `list`, by the command line in an empty directory."""

import json
from pathlib import Path

import pytest

from bike_assets.cli_sources import SHOWN
from bike_assets_tests.test_cli import Bike

FILE = """\
# Mine, and every comment stays.
[[systems]]
kind = "gbfs"
system_id = "mine"   # not the catalogue's
url = "https://api.cyclocity.fr/contracts/namur/gbfs/v3/gbfs.json"
poll_seconds = 30
name = "My [bikes]"

[[systems]]
kind = "jcdecaux"
contracts = ["Nantes", "Toulouse"]
"""


@pytest.fixture
def bike(tmp_path: Path) -> Bike:
    return Bike(tmp_path)


def test_what_is_found_says_where_it_is_asked_and_whether_the_file_has_it(bike: Bike) -> None:
    (bike.directory / "sources.toml").write_text(FILE)
    (namur,) = bike.json("sources", "find", "Li Bia", "--country", "be")
    assert namur == {
        "system_id": "namur", "name": "Li Bia Velo", "location": "Namur", "country": "BE",
        "url": "https://api.cyclocity.fr/contracts/namur/gbfs/v3/gbfs.json", "versions": "2.3 ; 3.0",
        "needs_authentication": False, "is_in_sources": True,
    }  # fmt: skip
    (hamburg,) = bike.json("sources", "find", "stadtrad_hamburg")
    assert (hamburg["needs_authentication"], hamburg["is_in_sources"]) == (True, False)
    said = bike("sources", "find", "namur").stdout
    assert "in your file" in said
    assert "https://api.cyclocity.fr/contracts/namur/gbfs/v3/gbfs.json" in said


def test_so_many_are_shown_and_the_others_counted_but_a_program_gets_all(bike: Bike) -> None:
    all_of_them = len(bike.json("sources", "find", "--country", "BE"))
    shown = bike("sources", "find", "--country", "BE").stdout
    assert f"{all_of_them - SHOWN} more: give another word, or --limit." in shown
    assert f"{all_of_them - 2} more" in bike("sources", "find", "--country", "BE", "--limit", "2").stdout


def test_nothing_found_is_no_error(bike: Bike) -> None:
    assert bike("sources", "find", "qqqqqq").stdout == "0 found.\n"


def test_systems_are_added_to_what_is_there_and_the_file_stays_its_owners(bike: Bike) -> None:
    file = bike.directory / "mine.toml"
    file.write_text(FILE)
    file.chmod(0o640)
    (bike.directory / "linked.toml").symlink_to(file)
    added = bike.json("sources", "add", "oslobysykkel", "jcdecaux:Lyon", "--sources", "linked.toml")
    assert [each["system_id"] for each in added] == ["oslobysykkel", "jcdecaux:lyon"]
    assert (bike.directory / "linked.toml").is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_text().startswith(FILE)
    listed = bike.json("sources", "list", "--sources", "mine.toml")
    assert [each["system_id"] for each in listed] == [
        "mine", "jcdecaux:nantes", "jcdecaux:toulouse", "oslobysykkel", "jcdecaux:lyon",
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def key(bike: Bike) -> None:
    bike.environment["BIKE_JCDECAUX_KEY"] = "0123456789"


def test_a_file_is_made_where_there_is_none(bike: Bike) -> None:
    done = bike("sources", "add", "bruxelles", "bruxelles")
    assert (done.returncode, done.stdout) == (0, "bruxelles is in sources.toml now.\n")
    (listed,) = bike.json("sources", "list")
    assert (listed["system_id"], listed["city"], listed["country"]) == ("bruxelles", "Brussels", "BE")
    assert (bike.directory / "sources.toml").read_text().startswith("# The systems to poll")


@pytest.mark.parametrize(("given", "said"), [
    ("mine-all-mine", "mine-all-mine is not in the catalogue"),
    ("namur", "The feed of namur is in sources.toml already, as mine."),
    ("jcdecaux:nantes", "jcdecaux:nantes is in sources.toml already."),
    ("stadtrad_hamburg", "stadtrad_hamburg cannot be asked: its feed needs an authentication"),
    ("jcdecaux:atlantis", "atlantis is no contract of JCDecaux that is known here"),
])  # fmt: skip
def test_what_cannot_be_added_is_one_sentence_and_nothing_is_written(bike: Bike, given: str, said: str) -> None:
    (bike.directory / "sources.toml").write_text(FILE)
    sentence = bike.error("sources", "add", "oslobysykkel", given)
    assert sentence.startswith(f"error: {said}")
    assert sentence.count("\n") == 1
    assert (bike.directory / "sources.toml").read_text() == FILE


def test_a_contract_is_not_added_without_a_key(bike: Bike) -> None:
    del bike.environment["BIKE_JCDECAUX_KEY"]
    assert bike.error("sources", "add", "jcdecaux:lyon").startswith("error: BIKE_JCDECAUX_KEY is not set")
    assert not (bike.directory / "sources.toml").exists()


def test_a_directory_that_cannot_be_written_to_is_said(bike: Bike) -> None:
    (bike.directory / "file").write_text("")
    said = bike.error("sources", "add", "bruxelles", "--sources", "file/sources.toml")
    assert said.startswith("error: file/sources.toml cannot be written: ")
    assert said.count("\n") == 1


def test_the_list_shows_each_system_with_its_interval_and_brackets_as_they_are(bike: Bike) -> None:
    (bike.directory / "sources.toml").write_text(FILE)
    said = bike("sources", "list").stdout
    assert "My [bikes]" in said
    assert "30 s" in said
    assert "https://api.jcdecaux.com, with others" in said
    listed = {each["system_id"]: each for each in json.loads(bike("sources", "list", "--json").stdout)}
    assert (listed["mine"]["poll_seconds"], listed["jcdecaux:nantes"]["poll_seconds"]) == (30, 60)


def test_a_list_without_a_file_says_what_to_do(bike: Bike) -> None:
    assert bike.error("sources", "list").startswith("error: sources.toml does not exist: ")
