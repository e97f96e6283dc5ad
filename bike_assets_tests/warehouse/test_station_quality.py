"""Stations whose numbers should be read with care, each reason by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bike_assets.model.tables import EVENTS_STATION_INFORMATION, EVENTS_STATION_STATUS
from bike_assets.model.warehouse import DIM_SYSTEM, FACT_STATION_DAY
from bike_assets.warehouse.dim_station import stations
from bike_assets.warehouse.station_quality import station_quality
from bike_assets_tests.warehouse.frames import Rows, frame, rows_of

DAY = date(2024, 3, 30)
MIDNIGHT = datetime(2024, 3, 29, 23, tzinfo=UTC)
"""In Oslo, whose date DAY is still in winter time."""
HOUR = timedelta(hours=1)
DEGREE_M = 111_195
Findings = dict[tuple[str, str], str]


def event(station_id: str, hours: float, **fields: Any) -> dict[str, Any]:
    """A change of a healthy open station, so many hours after midnight."""
    at = MIDNIGHT + hours * HOUR
    return {"system_id": "oslo", "station_id": station_id, "observed_at": at, "kind": "change", "bikes_available": 3,
            "docks_available": 7, "state": "available", "state_before": "available", "bikes_before": 3,
            "reported_at": at - timedelta(minutes=5), **fields}  # fmt: skip


def described(station_id: str, hours: float = 0, metres: float = 0, **fields: Any) -> dict[str, Any]:
    """A description told so many hours after midnight, so far north of the middle of Oslo."""
    return {"system_id": "oslo", "station_id": station_id, "observed_at": MIDNIGHT + hours * HOUR, "name": station_id,
            "lat": 59.9 + metres / DEGREE_M, "lon": 10.7, "capacity": 10, **fields}  # fmt: skip


def day(station_id: str, key: int, **fields: Any) -> dict[str, Any]:
    """A station's day of 24 hours in which it was open, and nothing moved."""
    return {"system_id": "oslo", "station_id": station_id, "local_date": DAY, "station_key": key, "departures": 0,
            "arrivals": 0, "seconds_empty": 0.0, "seconds_full": 0.0, "seconds_available": 86_400.0,
            "seconds_closed": 0.0, "seconds_unknown": 0.0, "bikes_min": 3, "bikes_max": 3, "is_complete": True,
            **fields}  # fmt: skip


BUSY = {"departures": 10, "arrivals": 10, "bikes_min": 0, "bikes_max": 9}


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> Findings:
    """What was found in a system of busy stations, by station and reason."""
    events: Rows = []
    told: dict[str, tuple[dict[str, Any], ...]] = {}

    def station(name: str, *its: dict[str, Any], descriptions: tuple[dict[str, Any], ...] = ()) -> None:
        events.extend(its)
        told[name] = descriptions or (described(name),)

    station("too many", event("too many", 3, bikes_available=6, docks_available=5), event("too many", 4))
    station("just enough", event("just enough", 3, bikes_available=6, docks_available=4))
    station("more places since noon", event("more places since noon", 11, bikes_available=6, docks_available=5),
            descriptions=(described("more places since noon", -50),
                          described("more places since noon", 10, capacity=12)))  # fmt: skip
    station("too many the day before", event("too many the day before", -0.1, bikes_available=60))
    station("old report", event("old report", 3, reported_at=MIDNIGHT - 30 * HOUR))
    station("new report since", event("new report since", 3, reported_at=MIDNIGHT - 30 * HOUR),
            event("new report since", 4))  # fmt: skip
    # As a keyframe of a 304: by it, the last report would be that of the last change.
    station("told before a 304", event("told before a 304", 3),
            event("told before a 304", 4, kind="keyframe", reported_at=MIDNIGHT - 30 * HOUR))  # fmt: skip
    station("old report while closed", event("old report while closed", 3, state="closed",
                                             reported_at=MIDNIGHT - 30 * HOUR))  # fmt: skip
    station("jumped", descriptions=(described("jumped", -50), described("jumped", 12, 600)))
    station("moved in two steps", descriptions=(described("moved in two steps", -50),
                                                described("moved in two steps", 10, 300),
                                                described("moved in two steps", 12, 600)))  # fmt: skip
    station("moved a little", descriptions=(described("moved a little", -50), described("moved a little", 12, 400)))
    station("jumped the day before", descriptions=(described("jumped the day before", -50),
                                                   described("jumped the day before", -1, 600)))  # fmt: skip
    station("placed since", descriptions=(described("placed since", -50, lat=None, lon=None),
                                          described("placed since", 12)))  # fmt: skip
    station("far away", descriptions=(described("far away", 0, 26_000),))
    station("at the edge", descriptions=(described("at the edge", 0, 24_000),))
    descriptions = [each for of_one in told.values() for each in of_one]
    keyed = stations(frame(spark, EVENTS_STATION_INFORMATION, descriptions),
                     frame(spark, EVENTS_STATION_STATUS, events))  # fmt: skip
    keys = {row["station_id"]: row["station_key"] for row in rows_of(keyed.orderBy("valid_from"))}
    rows = rows_of(station_quality(
        frame(spark, EVENTS_STATION_STATUS, events),
        frame(spark, FACT_STATION_DAY, [day(name, keys[name], **BUSY) for name in told]),
        frame(spark, DIM_SYSTEM, [{"system_id": "oslo", "timezone": "Europe/Oslo"}]), keyed, DAY, DAY))  # fmt: skip
    assert {row["local_date"] for row in rows} == {DAY}
    return {(row["station_id"], row["reason"]): row["evidence"] for row in rows}


def having(found: Findings, reason: str) -> set[str]:
    return {station_id for station_id, its in found if its == reason}


def test_a_station_with_more_bikes_and_docks_than_places_is_impossible(found: Findings) -> None:
    assert having(found, "impossible_count") == {"too many"}
    assert found["too many", "impossible_count"] == "11 bikes and docks where there are 10 places."


def test_a_station_is_stale_by_its_own_report_at_its_last_open_reading(found: Findings) -> None:
    assert having(found, "stale_report") == {"old report"}
    assert found["old report", "stale_report"] == "Its own last report was 33.0 h old."


def test_a_station_jumped_that_stands_far_from_where_it_stood_when_the_day_began(found: Findings) -> None:
    assert having(found, "jumped") == {"jumped", "moved in two steps"}
    assert found["jumped", "jumped"] == "It moved 600 m."


def test_a_station_far_from_the_middle_of_its_system_is_a_test(found: Findings) -> None:
    assert having(found, "test_station") == {"far away"}
    assert found["far away", "test_station"] == "It stands 26 km from the middle of its system."


def stuck(spark: SparkSession, changes: tuple[int, int, int], **still: Any) -> Rows:
    """What is found of three stations with so many changes, of which the first says it did not move."""
    events = [event(str(n), k / 4) for n, count in enumerate(changes) for k in range(count)]
    events += [event(str(n), 23, kind="keyframe") for n in range(3)]
    days = [day("0", 0, **still), day("1", 1, **BUSY), day("2", 2, **BUSY)]
    keyed = stations(frame(spark, EVENTS_STATION_INFORMATION, []), frame(spark, EVENTS_STATION_STATUS, events))
    return rows_of(station_quality(
        frame(spark, EVENTS_STATION_STATUS, events), frame(spark, FACT_STATION_DAY, days),
        frame(spark, DIM_SYSTEM, [{"system_id": "oslo", "timezone": "Europe/Oslo"}]), keyed, DAY, DAY))  # fmt: skip


IN_THREE_STATES = {"seconds_empty": 63_383.684, "seconds_full": 21_863.833, "seconds_available": 1152.483}
"""A day's seconds, which as doubles come to a little less than 86,400."""


@pytest.mark.parametrize("still", [{}, IN_THREE_STATES], ids=["available all day", "in three states"])
def test_a_station_is_stuck_that_keeps_its_bikes_while_others_move(spark: SparkSession, still: dict[str, Any]) -> None:
    assert stuck(spark, (0, 20, 30), **still) == [
        {"system_id": "oslo", "station_id": "0", "local_date": DAY, "reason": "stuck",
         "evidence": "3 bikes all day; the system's median station changed 20 times."}]  # fmt: skip


@pytest.mark.parametrize(("changes", "still"), [
    ((0, 19, 30), {}),
    ((0, 20, 30), {"bikes_max": 4}),
    ((0, 20, 30), {"departures": 3, "arrivals": 3}),
    ((0, 20, 30), {"seconds_available": 86_399.999, "seconds_unknown": 0.001}),
], ids=["nobody moves much", "another level", "flows", "unseen for a moment"])  # fmt: skip
def test_a_station_is_not_stuck(spark: SparkSession, changes: tuple[int, int, int], still: dict[str, Any]) -> None:
    assert stuck(spark, changes, **still) == []
