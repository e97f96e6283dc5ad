"""Systems that went quiet while others live."""

from pathlib import Path

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.systems import watch
from bike_assets_tests.model.builders import NOON


def look(path: Path, quiet: dict[str, str | None], systems: int = 3) -> tuple[list[str], str]:
    desk = Desk(path / "book.json", {}, NOON)
    watch(desk, quiet, systems, NOON)
    desk.close()
    return desk.keys, desk.says("all are polled")


def test_a_system_that_is_quiet_while_others_live_is_an_incident_until_it_is_polled_again(tmp_path: Path) -> None:
    assert look(tmp_path, {"oslo": "2024-03-30T11:20:00+00:00"}) == (
        ["system/oslo"], "oslo had its last good poll at 2024-03-30 11:20 UTC; others go on.")
    assert look(tmp_path, {}) == ([], "oslo is polled again.")


def test_a_system_that_never_had_a_good_poll_says_so(tmp_path: Path) -> None:
    assert look(tmp_path, {"oslo": None})[1] == "oslo never had a good poll."


def test_where_no_system_lives_that_is_one_incident(tmp_path: Path) -> None:
    look(tmp_path, {"oslo": None})
    every: dict[str, str | None] = {"oslo": None, "lyon": None, "nantes": None}
    assert look(tmp_path, every)[0] == ["system/oslo", "systems/all"], "what was known of oslo still holds"
    assert look(tmp_path, {"lyon": None})[0] == ["system/lyon"]


def test_a_home_with_one_system_tells_of_that_one(tmp_path: Path) -> None:
    assert look(tmp_path, {"oslo": None}, systems=1)[0] == ["system/oslo"]
