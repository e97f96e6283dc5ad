"""Systems that went quiet while others live, by what the poller's heartbeat says."""

from collections.abc import Mapping
from datetime import datetime

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Trouble

KEYS = "system/"
ALL = "systems/all"

OUTAGE = 0.5
"""More than this share of the systems quiet at once: then it is our network, not theirs."""

OUTAGE_OVER = 0.1
"""Fewer than this share: then it is theirs. Between the two an outage goes on, and no system is told singly."""


def watch(desk: Desk, quiet: Mapping[str, str | None], systems: int, now: datetime) -> None:
    """One incident for an outage; else one for each system that was quiet at the last look too."""
    told = [system_id for system_id in quiet if desk.suspect(f"{KEYS}{system_id}")]
    if systems > 1 and len(quiet) > OUTAGE * systems:
        desk.begin(Trouble(ALL, f"{len(quiet)} of {systems} systems had no good poll lately: is it our network?", now))
    if ALL in desk.keys:
        if _goes_on(len(quiet), systems):
            return
        desk.end(ALL, f"Systems are polled again, all but {len(quiet)} of {systems}.")
    for key in desk.keys:
        system_id = key.removeprefix(KEYS)
        if system_id not in quiet:
            desk.end(key, f"{system_id} is polled again.")
    for system_id in told:
        desk.begin(Trouble(f"{KEYS}{system_id}", _said(system_id, quiet[system_id]), now))


def _goes_on(quiet: int, systems: int) -> bool:
    """Whether an outage does; a single system makes none, however few there are."""
    return quiet >= OUTAGE_OVER * systems and quiet > 1


def _said(system_id: str, last: str | None) -> str:
    if last is None:
        return f"{system_id} never had a good poll."
    return f"{system_id} had its last good poll at {datetime.fromisoformat(last):%Y-%m-%d %H:%M} UTC; others go on."
