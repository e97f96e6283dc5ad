"""The topics, each with its message, its key, how long it is kept, and the table it goes to."""

import json
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from bike_assets.model import messages, tables
from bike_assets.model.schema import Table

RETENTION_DAYS = 7
_RETENTION_MS = str(RETENTION_DAYS * 24 * 3600 * 1000)
MAX_COMPACTION_LAG_MS = 1000
"""In a topic of people: a segment is closed by the first message that comes so long after its first, then compacted."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of Kafka. A compacted one keeps the newest message of each key for ever.

    A compacted topic that also feeds a table keeps all of its messages for the retention time first.
    """

    name: str
    message: tuple[type[Struct], ...]
    table: Table | None
    is_compacted: bool = False
    is_personal: bool = False
    """Whether its messages are people, one message each: what forgets a key is compacted within seconds, files too."""

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings, in Kafka's words.

        Kafka's own timestamps are the time of writing: by `observed_at`, retention would delete a
        replay of 2014 at once.
        """
        common = {"message.timestamp.type": "LogAppendTime"}
        if not self.is_compacted:
            return common | {"cleanup.policy": "delete", "retention.ms": _RETENTION_MS}
        if self.is_personal:
            return common | {
                "cleanup.policy": "compact",
                "min.compaction.lag.ms": "0",  # no key has two messages that say something: nothing is lost early
                "max.compaction.lag.ms": str(MAX_COMPACTION_LAG_MS),
                "delete.retention.ms": "60000",
                "file.delete.delay.ms": "1000",
            }
        return common | {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": _RETENTION_MS if self.table else "0",
            "min.cleanable.dirty.ratio": "0.2",
            "segment.ms": str(3600 * 1000),
        }

    def kind_of(self, key: str) -> type[Any]:
        """Which of its messages stands under a key: where there are two, the first is of `system/...`, the second of a
        system itself.
        """
        return self.message[0] if "/" in key else self.message[-1]

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its messages."""
        kinds = self.message
        (schemas,), components = msgspec.json.schema_components([kinds[0]]) if len(kinds) == 1 else (
            _any_of(kinds)
        )
        return {"title": self.name, **schemas, "$defs": components}


def _any_of(kinds: tuple[type[Struct], ...]) -> tuple[tuple[dict[str, Any]], dict[str, Any]]:
    schemas, components = msgspec.json.schema_components(kinds)
    return ({"anyOf": list(schemas)},), components


STATION_STATUS = Topic("station_status", (messages.StationStatus,), tables.EVENTS_STATION_STATUS)
STATION_INFORMATION = Topic(
    "station_information", (messages.StationInformation,), tables.EVENTS_STATION_INFORMATION,
    is_compacted=True,
)
SYSTEM_INFORMATION = Topic(
    "system_information", (messages.SystemInformation,), tables.EVENTS_SYSTEM_INFORMATION,
    is_compacted=True,
)
VEHICLE_STATUS = Topic("vehicle_status", (messages.VehicleStatus,), tables.EVENTS_VEHICLE_STATUS)
VEHICLE_TOTALS = Topic("vehicle_totals", (messages.VehicleTotals,), tables.EVENTS_VEHICLE_TOTALS)
VEHICLE_STATE = Topic("vehicle_state", (messages.VehicleState, messages.VehicleFeedState), None, is_compacted=True)
POLLS = Topic("polls", (messages.Poll,), tables.EVENTS_POLLS)
REJECTIONS = Topic("rejections", (messages.Rejection,), tables.EVENTS_REJECTIONS)
FEED_FIELDS = Topic("feed_fields", (messages.FeedField,), tables.EVENTS_FEED_FIELDS)
STATION_STATE = Topic(
    "station_state", (messages.StationState, messages.SystemState), None, is_compacted=True
)

ORDERS = Topic("orders", (messages.Order,), tables.EVENTS_ORDERS)
USERS_CREATED = Topic("users_created", (messages.User,), tables.EVENTS_USERS, is_compacted=True, is_personal=True)
MEMBERS_STATE = Topic("members_state", (messages.MemberCursor, messages.MemberForgotten), None, is_compacted=True)

TOPICS = (
    STATION_STATUS, STATION_INFORMATION, SYSTEM_INFORMATION, VEHICLE_STATUS, VEHICLE_TOTALS, POLLS, REJECTIONS,
    FEED_FIELDS, STATION_STATE, VEHICLE_STATE, ORDERS, USERS_CREATED, MEMBERS_STATE,
)  # fmt: skip

POLLED = tuple(topic for topic in TOPICS if topic not in (ORDERS, USERS_CREATED, MEMBERS_STATE))
"""What pollers write."""


def partition_of(system_id: str, partitions: int) -> int:
    """Where a system's messages stand, in every topic alike: one writer a partition, one order a system.

    An order's versions stand together by its `order_id`; a member's message by its key, a hash.
    """
    return crc32(system_id.encode()) % partitions


def station_key(system_id: str, station_id: str) -> str:
    """A station's key in a topic. A system's id has no slash, so the first one parts them."""
    return f"{system_id}/{station_id}"


def schema_text(topic: Topic) -> str:
    """The topic's JSON Schema as it is shown and kept."""
    return json.dumps(topic.schema, indent=2, sort_keys=True)
