"""Troubles, heartbeats and ended runs, in which a test names only what matters."""

from datetime import datetime
from typing import Any

from bike_assets.alerts.incidents import Alert, Event, Severity, Trouble
from bike_assets.alerts.runs import Checked, Days, Ended
from bike_assets_tests.model.builders import NOON


def trouble(key: str = "service/poller", since: datetime = NOON, severity: Severity = Severity.ERROR) -> Trouble:
    return Trouble(key, f"{key} is wrong.", since, severity, "/runs/1")


def alert(event: Event = Event.OPEN, severity: Severity = Severity.ERROR) -> Alert:
    return Alert(event, trouble(severity=severity), "The poller <is> dead & gone.", NOON, ["webhook"])


def ended(run_id: str = "1", what: str = "build_days", days: Days | None = None, **given: Any) -> Ended:
    return Ended(run_id, what, days, ended_at=given.pop("ended_at", NOON), **{"succeeded": False, **given})


def checked(passed: bool, severity: Severity = Severity.ERROR, *, is_blocking: bool = False) -> Checked:
    return Checked("warehouse.fact", "hours_add_up", passed, severity, is_blocking)
