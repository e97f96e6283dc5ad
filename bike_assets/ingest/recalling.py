"""What a partition's systems were at the last commit, read back from Kafka's compacted topics."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import structlog

from bike_assets.ingest.kafka import read_to_end
from bike_assets.ingest.memory import Memories, recall
from bike_assets.model import topics
from bike_assets.model.topics import Topic

log = structlog.get_logger()

REMEMBERED = (
    topics.STATION_STATE, topics.STATION_INFORMATION, topics.SYSTEM_INFORMATION, topics.VEHICLE_STATE,
)  # fmt: skip
"""In the order in which `recall` takes them."""

Newest = Mapping[str, Mapping[str, bytes]]
"""By topic and key, the newest message of each."""


def read_memories(bootstrap_servers: str, partition: int) -> Memories:
    """The partition's memories, from the topics to their ends. Raises BrokerUnavailable, KafkaException."""
    newest: dict[str, dict[str, bytes]] = {topic.name: {} for topic in REMEMBERED}
    for message in read_to_end(bootstrap_servers, [*newest], partition):
        values = newest[message.topic() or ""]
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
    return remembered(newest)


def remembered(newest: Newest) -> Memories:
    """The memories that these messages make.

    One that cannot be read is left out, told and counted: of what it said nothing is known then, as if it had never
    been seen. Whoever took the partition over could else never poll any of its systems again.
    """
    unreadable: list[str] = []

    def read(topic: Topic) -> Iterator[Any]:
        for key, value in newest.get(topic.name, {}).items():
            try:
                yield msgspec.json.decode(value, type=topic.kind_of(key))
            except (msgspec.MsgspecError, UnicodeDecodeError) as err:
                unreadable.append(key)
                log.error("left out of what is remembered: unreadable", topic=topic.name, key=key, reason=str(err))

    memories = recall(*map(read, REMEMBERED))
    memories.unreadable = len(unreadable)
    return memories
