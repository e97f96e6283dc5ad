"""What the services are put together from."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS
from bike_assets.reporting import Reporter
from bike_assets.services import _simulated_since, day_report, refused_lately
from bike_assets.stream.closing import Closed
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import rejection

NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)


def test_simulated_cities_go_on_for_a_day_and_then_begin_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _simulated_since(run, NOON) == NOON
    assert _simulated_since(run, NOON + timedelta(hours=23)) == NOON
    assert _simulated_since(run, NOON + timedelta(hours=24)) == NOON + timedelta(hours=24)


def test_a_closed_day_of_rejections_is_told_with_their_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_messages(tmp_path, EVENTS_REJECTIONS, *(
        rejection(fetched_at=NOON + timedelta(hours=hours), reason="no JSON") for hours in (-13, 0, 1, 12)))
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Reporter, "materialized", lambda _, *given: told.append(given[:2]))
    report = day_report(Reporter("http://127.0.0.1:1"), tmp_path)
    for table in (EVENTS_REJECTIONS, EVENTS_POLLS):
        report(Closed(table, NOON.date(), 2), lambda: None)
    assert told == [
        (EVENTS_REJECTIONS.path, {"dagster/partition_row_count": 2, "by_reason": {"oslo": {"no JSON": 2}}}),
        (EVENTS_POLLS.path, {"dagster/partition_row_count": 2}),
    ]


def test_what_is_told_of_the_rejections_in_between_are_those_of_a_day(tmp_path: Path) -> None:
    assert refused_lately(tmp_path, EVENTS_POLLS.path) == {}
    assert refused_lately(tmp_path, EVENTS_REJECTIONS.path) == {"by_reason": {}}
    write_messages(tmp_path, EVENTS_REJECTIONS, rejection(fetched_at=datetime.now(UTC), reason="no JSON"), rejection())
    assert refused_lately(tmp_path, EVENTS_REJECTIONS.path) == {"by_reason": {"oslo": {"no JSON": 1}}}
    next(tmp_path.rglob("*.parquet")).unlink()
    next(tmp_path.rglob("*.parquet")).unlink()
    assert refused_lately(tmp_path, EVENTS_REJECTIONS.path)["by_reason"].startswith("events.rejections cannot be read")
