"""Messages as Kafka's source gives them to Spark, built from the model's own."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from pyspark.sql import DataFrame, SparkSession

from bike_assets.model.messages import EventKind, Outcome, Poll, StationStatus
from bike_assets.model.readings import State
from bike_assets.model.topics import Topic

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_SCHEMA = "topic string, partition int, offset bigint, timestamp timestamp, key binary, value binary"


@dataclass(frozen=True)
class Message:
    """A Kafka record, as far as the stream looks at it."""

    topic: Topic
    value: bytes
    partition: int = 0
    offset: int = 0
    key: bytes = b"oslo"


def batch(spark: SparkSession, *messages: Message) -> DataFrame:
    """A micro-batch of these messages."""
    rows = [
        (each.topic.name, each.partition, each.offset, NOON, bytearray(each.key), bytearray(each.value))
        for each in messages
    ]
    return spark.createDataFrame(rows, _SCHEMA)


def status(
    *,
    station_id: str = "1",
    at: datetime = NOON,
    bikes: int | None = 5,
    before: int | None = None,
    state: State = State.AVAILABLE,
    state_before: State | None = None,
) -> bytes:
    """A station's event; what is not named is as at a healthy station."""
    return msgspec.json.encode(
        StationStatus(
            system_id="oslo",
            station_id=station_id,
            observed_at=at,
            kind=EventKind.CHANGE if bikes is not None else EventKind.ABSENT,
            bikes_available=bikes,
            ebikes_available=None,
            docks_available=10,
            bikes_disabled=None,
            docks_disabled=None,
            is_installed=True,
            is_renting=state is not State.CLOSED,
            is_returning=True,
            state=state,
            state_since=at,
            bikes_before=before,
            docks_before=None,
            state_before=state_before,
            reported_at=None,
        )
    )


def poll(
    *, at: datetime = NOON, outcome: Outcome = Outcome.OK, bikes: int = 30, docks: int | None = 10
) -> bytes:
    """A poll of stations, good unless it is said otherwise."""
    good = outcome in {Outcome.OK, Outcome.NOT_MODIFIED}
    return msgspec.json.encode(
        Poll(
            system_id="oslo",
            feed="station_status",
            fetched_at=at,
            request_id=f"request at {at}",
            outcome=outcome,
            http_status=200,
            seconds=0.1,
            bytes=1000,
            rows_in=4,
            rows_accepted=4,
            rows_rejected=0,
            events=1,
            feed_updated_at=None,
            error=None,
            stations=4 if good else None,
            empty=1 if good else None,
            full=0 if good else None,
            closed=0 if good else None,
            bikes_available=bikes if good else None,
            docks_available=docks if good else None,
            ebikes_available=None,
            bikes_with_docks=bikes if good and docks is not None else None,
        )
    )
