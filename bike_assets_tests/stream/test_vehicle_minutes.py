"""Vehicles of a day and a half, polled, committed and made into minutes, against the bodies themselves."""

from dataclasses import replace
from datetime import datetime, timedelta

from pyspark.sql import SparkSession

from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets.model.tables import EVENTS_VEHICLE_TOTALS
from bike_assets.simulator import gbfs
from bike_assets.simulator.city import City
from bike_assets.stream.live import vehicle_minutes
from bike_assets_tests.ingest.stand_in import StandInKafka, replay
from bike_assets_tests.oracle.vehicles import vehicle_minute_rows
from bike_assets_tests.simulator.builders import MORNING, after, city, fleet, station
from bike_assets_tests.sources.builders import answer
from bike_assets_tests.warehouse.frames import frame, rows_of

POLLS, EVERY_S = 600, 217


def answers(town: City) -> list[Answer]:
    """Polls of a city whose idle vehicles stand for long; some fail, and for three hours in the night nobody looks."""
    found = []
    for n in range(POLLS):
        at = after(seconds=n * EVERY_S)
        if timedelta(hours=18) < at - MORNING < timedelta(hours=21):
            continue
        town.advance(at)
        if n % 17 == 5:
            found.append(replace(answer("gbfs.free_bike_status", None, "town"), fetched_at=at, http_status=None,
                                 failure=Outcome.TIMEOUT, error="nothing came"))  # fmt: skip
        else:
            body = gbfs.feed(town, "free_bike_status", "", 5)
            found.append(replace(answer("gbfs.free_bike_status", body, "town"), fetched_at=at))
    return found


def test_minutes_of_vehicles_are_those_of_the_bodies(spark: SparkSession) -> None:
    town = city([station("1"), station("2")], fleet=fleet(25))
    assert town.fleet is not None
    for vehicle in town.fleet.standing[:3]:  # nobody ever wants these
        town.fleet._events = [event for event in town.fleet._events if event[3] is not vehicle]
    asked = answers(town)
    kafka = StandInKafka()
    for start in range(0, len(asked), 50):
        replay(kafka, asked[start : start + 50])  # each by a process of its own
    totals = kafka.rows(topics.VEHICLE_TOTALS)
    found = rows_of(vehicle_minutes(frame(spark, EVENTS_VEHICLE_TOTALS, totals)).orderBy("minute"))
    bodies: list[tuple[datetime, bytes | None]] = [(each.fetched_at, each.body) for each in asked]
    expected = vehicle_minute_rows("town", bodies)
    assert [{**row, "minute": row["minute"]} for row in found] == expected
    assert max(row["abandoned"] for row in expected) >= 3, "the day is long enough"
    assert min(row["available"] for row in expected) < 25
