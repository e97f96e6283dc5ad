"""Who beats, as `bike status SERVICE` judges it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.heartbeats import FRESH_S, heartbeat
from bike_assets.local.status import refuse_silent
from bike_assets.model.errors import ServiceNotReady
from bike_assets.settings import Settings, load_settings


@pytest.fixture
def settings(bare_directory: Path) -> Settings:
    """A home in which the poller beats."""
    made = load_settings()
    heartbeat(made.run, "poller")({})
    return made


def test_a_service_that_beats_is_well(settings: Settings) -> None:
    refuse_silent(settings, ["poller"])
    refuse_silent(settings, [])


def test_one_that_never_beat_is_not(settings: Settings) -> None:
    with pytest.raises(ServiceNotReady, match=r"^stream has never beaten in .*: it is down, or hangs\.$"):
        refuse_silent(settings, ["poller", "stream"])


def test_one_whose_heartbeat_is_old_is_not(settings: Settings) -> None:
    file = settings.run / "poller.heartbeat.json"
    old = datetime.now(UTC) - timedelta(seconds=FRESH_S + 1)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"at": old.isoformat()}))
    with pytest.raises(ServiceNotReady, match=rf"^poller last beat at {old:%Y-%m-%d %H:%M:%S} UTC in "):
        refuse_silent(settings, ["poller"])


def test_what_does_not_beat_is_told_with_those_that_do(settings: Settings) -> None:
    with pytest.raises(ServiceNotReady, match=r"^broker has no heartbeat: poller, stream, page have\.$"):
        refuse_silent(settings, ["broker"])
