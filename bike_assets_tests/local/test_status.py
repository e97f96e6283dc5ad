"""What `bike status` says of a home."""

from datetime import timedelta
from pathlib import Path

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, Trouble
from bike_assets.local.status import status
from bike_assets.settings import load_settings
from bike_assets_tests.model.builders import NOON


def test_open_incidents_are_listed_the_newest_first(bare_directory: Path) -> None:
    settings = load_settings(home=bare_directory)
    assert status(settings)["incidents"] == []
    for number, watcher in enumerate(("services", "runs")):
        desk = Desk(settings.incidents / f"{watcher}.json", {}, NOON)
        desk.begin(Trouble(watcher, f"{watcher} is wrong.", NOON + timedelta(hours=number), Severity.WARNING))
        desk.begin(Trouble("over", "was wrong", NOON))
        desk.end("over", "It is well.")
        desk.close()
    assert status(settings)["incidents"] == [
        {"since": "2026-06-01T13:00:00+00:00", "severity": "warning", "says": "runs is wrong."},
        {"since": "2026-06-01T12:00:00+00:00", "severity": "warning", "says": "services is wrong."},
    ]
