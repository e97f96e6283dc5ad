"""What is said of days that were built; the building itself is in journeys/."""

from datetime import date
from typing import Any

import pytest

from bike_assets.local.build import found_by, remarks

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


FAILED = {"what": "warehouse.fact_station_hour: no_negative", "bad": 2,
          "first_bad": [{"system_id": "oslo", "station_id": "1", "bikes_mean": None, "departures": -1}]}  # fmt: skip


def test_what_a_check_found_is_told_with_its_first_row() -> None:
    first = "system_id oslo, station_id 1, departures -1"
    said = f"warehouse.fact_station_hour: no_negative: 2 bad rows, the first: {first}."
    assert found_by(FAILED | {"see_all": "bike sql x"}) == f"{said} All of them: bike sql x"
    assert found_by(FAILED | {"see_all": "x" * 500}) == f"{said} All of them: in Dagster, or by --json"


def test_a_check_that_had_nothing_to_look_at_says_so() -> None:
    assert "not yet" in found_by(FAILED | {"bad": 0, "first_bad": []})
