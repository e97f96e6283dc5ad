"""What a station is and was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bike_assets.model.tables import EVENTS_STATION_INFORMATION, EVENTS_STATION_STATUS
from bike_assets.warehouse.dim_station import stations
from bike_assets.warehouse.places import metres_between
from bike_assets.warehouse.station_keys import FIRST_VALID_FROM
from bike_assets_tests.warehouse.frames import Rows, frame, rows_of

NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
METRE = 1 / 111_195
"""In degrees of latitude."""

SQUARE = {"name": "Square", "address": "1 Square", "lat": 59.9, "lon": 10.7, "capacity": 10,
          "has_payment_terminal": None}  # fmt: skip


def versions(spark: SparkSession, *changes: dict[str, Any]) -> Rows:
    """The rows of a station that is described anew each hour, with these changes against the description before."""
    rows, told = [], SQUARE
    for n, change in enumerate(changes):
        told = told | change
        rows.append({"system_id": "oslo", "station_id": "1", "observed_at": NOON + n * HOUR, **told})
    found = stations(frame(spark, EVENTS_STATION_INFORMATION, rows), frame(spark, EVENTS_STATION_STATUS, []))
    return rows_of(found.orderBy("valid_from"))


def test_a_first_description_holds_from_1970_on(spark: SparkSession) -> None:
    (row,) = versions(spark, {})
    assert (row["valid_from"], row["valid_to"], row["is_current"], row["is_inferred"]) == (
        datetime(1970, 1, 1, tzinfo=UTC), None, True, False)  # fmt: skip
    assert {name: row[name] for name in SQUARE} == SQUARE


def test_a_new_name_or_capacity_is_a_new_row(spark: SparkSession) -> None:
    rows = versions(spark, {}, {"name": "New Square"}, {"capacity": 12}, {"capacity": None})
    assert [(row["name"], row["capacity"]) for row in rows] == [
        ("Square", 10), ("New Square", 10), ("New Square", 12), ("New Square", None)]  # fmt: skip
    assert [row["valid_from"] for row in rows] == [FIRST_VALID_FROM, *(NOON + n * HOUR for n in (1, 2, 3))]
    assert [row["valid_to"] for row in rows] == [*(NOON + n * HOUR for n in (1, 2, 3)), None]
    assert [row["is_current"] for row in rows] == [False, False, False, True]
    assert len({row["station_key"] for row in rows}) == 4


@pytest.mark.parametrize(("moves", "rows"), [([20], 1), ([30], 2), ([20, 20], 2), ([20, -20, 20], 1)])
def test_a_slow_drift_adds_up_to_a_move(spark: SparkSession, moves: list[int], rows: int) -> None:
    lats = [59.9 + sum(moves[:n]) * METRE for n in range(1, len(moves) + 1)]
    found = versions(spark, {}, *({"lat": lat} for lat in lats))
    assert len(found) == rows
    assert found[0]["lat"] == 59.9
    assert found[-1]["lat"] == (lats[-1] if rows == 2 else 59.9)


def test_a_new_address_is_written_over_all_rows_and_a_terminal_over_the_one_that_holds(spark: SparkSession) -> None:
    rows = versions(spark, {"has_payment_terminal": False}, {"address": "2 Square", "has_payment_terminal": True},
                    {"name": "New Square", "has_payment_terminal": False}, {"address": None})  # fmt: skip
    assert [(row["address"], row["has_payment_terminal"]) for row in rows] == [("2 Square", True), ("2 Square", False)]


def test_a_station_that_was_never_described_is_inferred(spark: SparkSession) -> None:
    seen = [{"system_id": "oslo", "station_id": id_, "observed_at": NOON} for id_ in ("1", "2", "2")]
    told = [{"system_id": "oslo", "station_id": "1", "observed_at": NOON, **SQUARE}]
    rows = rows_of(stations(frame(spark, EVENTS_STATION_INFORMATION, told), frame(spark, EVENTS_STATION_STATUS, seen)))
    known, inferred = sorted(rows, key=lambda row: str(row["station_id"]))
    assert (known["is_inferred"], known["name"]) == (False, "Square")
    assert (inferred["is_inferred"], inferred["is_current"], inferred["valid_from"], inferred["name"], inferred["lat"],
            inferred["address"]) == (True, True, FIRST_VALID_FROM, None, None, None)  # fmt: skip


def test_distances_are_known_ones(spark: SparkSession) -> None:
    from pyspark.sql import functions as F  # noqa: N812

    def metres(*degrees: float) -> float:
        return float(spark.range(1).select(metres_between(*map(F.lit, degrees))).collect()[0][0])

    assert metres(59.9139, 10.7522, 48.8566, 2.3522) == pytest.approx(1_343_000, rel=0.003)  # Oslo to Paris
    assert metres(0.0, 179.999, 0.0, -179.999) == pytest.approx(222.4, abs=0.1)
    assert metres(47.2, 6.0, 47.2, 6.0) == 0
