"""Systems that went quiet while others live."""

from pathlib import Path

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Alert
from bike_assets.alerts.systems import watch
from bike_assets_tests.model.builders import NOON

MANY = [f"city-{n}" for n in range(300)]


def look(path: Path, quiet: dict[str, str | None], systems: int = 3, sent: list[str] | None = None) -> list[str]:
    """What is open after a look; `sent` gets what was told."""

    def send(alert: Alert) -> None:
        if sent is not None:
            sent.append(f"{alert.event} {alert.trouble.key}")

    desk = Desk(path / "book.json", {"x": send}, NOON)
    watch(desk, quiet, systems, NOON)
    desk.close()
    return desk.keys


def says(path: Path, quiet: dict[str, str | None], systems: int = 3) -> str:
    desk = Desk(path / "book.json", {}, NOON)
    watch(desk, quiet, systems, NOON)
    desk.close()
    return desk.says("all are polled")


def never(systems: list[str]) -> dict[str, str | None]:
    return dict.fromkeys(systems)


def test_a_system_that_is_quiet_while_others_live_is_an_incident_until_it_is_polled_again(tmp_path: Path) -> None:
    quiet: dict[str, str | None] = {"oslo": "2024-03-30T11:20:00+00:00"}
    look(tmp_path, quiet)
    assert says(tmp_path, quiet) == "oslo had its last good poll at 2024-03-30 11:20 UTC; others go on."
    assert says(tmp_path, {}) == "oslo is polled again."


def test_a_system_that_never_had_a_good_poll_says_so(tmp_path: Path) -> None:
    look(tmp_path, {"oslo": None})
    assert says(tmp_path, {"oslo": None}) == "oslo never had a good poll."


def test_a_system_is_told_after_two_looks_in_a_row(tmp_path: Path) -> None:
    assert look(tmp_path, never(["oslo"])) == []
    assert look(tmp_path, {}) == []
    assert look(tmp_path, never(["oslo"])) == [], "two looks, not in a row"
    assert look(tmp_path, never(["oslo"])) == ["system/oslo"]


def test_an_outage_of_the_network_is_two_alerts_and_not_two_for_each_system(tmp_path: Path) -> None:
    sent: list[str] = []
    for quiet in (0, 20, 151, 300, 300, 290, 140, 30, 29, 0):
        look(tmp_path, never(MANY[-quiet:] if quiet else []), 300, sent)
    assert sent == ["open systems/all", "over systems/all", *(f"open system/{each}" for each in MANY[-29:]),
                    *(f"over system/{each}" for each in MANY[-29:])]


def test_an_outage_begins_with_more_than_half_and_ends_with_less_than_a_tenth(tmp_path: Path) -> None:
    assert look(tmp_path, never(MANY[:150]), 300) == []
    assert look(tmp_path, never(MANY[100:251]), 300) == ["systems/all"]
    assert look(tmp_path, never(MANY[:30]), 300) == ["systems/all"]
    assert look(tmp_path, never(MANY[200:229]), 300) == [], "each of them is quiet at its first look"


def test_systems_that_are_still_quiet_as_an_outage_ends_are_then_told(tmp_path: Path) -> None:
    for quiet in (MANY, MANY[:40]):
        assert look(tmp_path, never(quiet), 300) == ["systems/all"]
    assert look(tmp_path, never(MANY[:2]), 300) == ["system/city-0", "system/city-1"]


def test_nothing_is_told_of_a_single_system_while_an_outage_lasts(tmp_path: Path) -> None:
    sent: list[str] = []
    for quiet in (["city-0"], ["city-0"], MANY, MANY[1:], MANY[1:]):
        look(tmp_path, never(quiet), 300, sent)
    assert sent == ["open system/city-0", "open systems/all"]
    assert look(tmp_path, {}, 300, sent) == []
    assert sent[2:] == ["over systems/all", "over system/city-0"]


def test_of_a_few_systems_a_single_quiet_one_is_no_outage(tmp_path: Path) -> None:
    assert look(tmp_path, never(["oslo", "lyon", "nantes"])) == ["systems/all"]
    assert look(tmp_path, never(["oslo", "lyon"])) == ["systems/all"]
    assert look(tmp_path, never(["lyon"])) == ["system/lyon"]
    assert look(tmp_path, never(["oslo"])) == [], "a third of them, but for the first time"


def test_a_home_with_one_system_tells_of_that_one(tmp_path: Path) -> None:
    look(tmp_path, never(["oslo"]), 1)
    assert look(tmp_path, never(["oslo"]), 1) == ["system/oslo"]
