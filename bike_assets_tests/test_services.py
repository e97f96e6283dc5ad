"""What the services are put together from."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bike_assets.services import _simulated_since

NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)


def test_simulated_cities_go_on_for_a_day_and_then_begin_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _simulated_since(run, NOON) == NOON
    assert _simulated_since(run, NOON + timedelta(hours=23)) == NOON
    assert _simulated_since(run, NOON + timedelta(hours=24)) == NOON + timedelta(hours=24)
