"""Troubles, heartbeats and ended runs, in which a test names only what matters."""

from collections.abc import Mapping, Set
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from bike_assets.alerts.incidents import Alert, Event, Severity, Trouble
from bike_assets.alerts.runs import Checked, Days, Ended, Moments
from bike_assets_tests.model.builders import NOON


def trouble(key: str = "service/poller", since: datetime = NOON, severity: Severity = Severity.ERROR) -> Trouble:
    return Trouble(key, f"{key} is wrong.", since, severity, "/runs/1")


def alert(event: Event = Event.OPEN, severity: Severity = Severity.ERROR) -> Alert:
    return Alert(event, trouble(severity=severity), "The poller <is> dead & gone.", NOON, ["webhook"])


def ended(
    run_id: str = "1",
    what: str = "build_days",
    days: Days | None = None,
    *,
    ended_at: datetime = NOON,
    built: Mapping[str, Set[date]] = MappingProxyType({}),
    built_at: datetime | None = None,
    **given: Any,
) -> Ended:
    """`built` has assets with their days, or none; all built at the run's end where nothing else is said."""
    moments: dict[str, Moments] = {
        key: dict.fromkeys(each or (None,), built_at or ended_at) for key, each in built.items()
    }
    return Ended(run_id, what, days, ended_at=ended_at, built=moments, **{"succeeded": False, **given})


def checked(
    passed: bool, severity: Severity = Severity.ERROR, *, is_blocking: bool = False, at: datetime = NOON
) -> Checked:
    return Checked("warehouse.fact", "hours_add_up", passed, severity, is_blocking, at)
