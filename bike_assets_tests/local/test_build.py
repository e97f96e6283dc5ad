"""What is said of days that were built; the building itself is in journeys/."""

from datetime import date
from typing import Any

import pytest

from bike_assets.local.build import remarks

TODAY = date(2026, 6, 1)


def steps(rows: int) -> list[dict[str, Any]]:
    return [{"what": "warehouse.dim_date", "rows": 365}, {"what": "warehouse.fact_station_hour", "rows": rows},
            {"what": "warehouse.fact_station_hour: no_negative", "rows": None}]  # fmt: skip


@pytest.mark.parametrize(("rows", "last", "said"), [
    (720, "2026-05-31", []),
    (720, "2026-06-01", ["2026-06-01 is not over (UTC)"]),
    (0, "2026-05-31", ["Nothing was recorded of these days"]),
    (0, "2026-06-01", ["Nothing was recorded of these days"]),
])
def test_a_day_that_is_empty_or_not_over_is_said_to_be(rows: int, last: str, said: list[str]) -> None:
    found = list(remarks(steps(rows), last, TODAY))
    assert [sentence.partition(":")[0] for sentence in found] == said
