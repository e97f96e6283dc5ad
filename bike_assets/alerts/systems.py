"""Systems that went quiet while others live, by what the poller's heartbeat says."""

from collections.abc import Mapping
from datetime import datetime

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Trouble

KEYS = "system/"
ALL = "systems/all"


def watch(desk: Desk, quiet: Mapping[str, str | None], systems: int, now: datetime) -> None:
    """One incident a quiet system; a single one where no system lives: then it is our network, not theirs."""
    if len(quiet) == systems and systems > 1:
        desk.begin(Trouble(ALL, f"None of the {systems} systems has had a good poll lately.", now))
        return
    desk.end(ALL, "Systems are polled again.")
    for key in desk.keys:
        system_id = key.removeprefix(KEYS)
        if key != ALL and system_id not in quiet:
            desk.end(key, f"{system_id} is polled again.")
    for system_id, last in quiet.items():
        desk.begin(Trouble(f"{KEYS}{system_id}", _said(system_id, last), now))


def _said(system_id: str, last: str | None) -> str:
    if last is None:
        return f"{system_id} never had a good poll."
    return f"{system_id} had its last good poll at {datetime.fromisoformat(last):%Y-%m-%d %H:%M} UTC; others go on."
