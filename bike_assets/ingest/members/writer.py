"""The one writer of members: what a page gave, and how far the API was read, in one transaction of Kafka's.

So whatever is killed, and when: either the page and the cursor behind it are there, or neither is.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from confluent_kafka import KafkaException, Producer

from bike_assets.ingest.kafka import ANSWER_S, is_fenced, produce_all, read_to_end
from bike_assets.ingest.members.taking import Known
from bike_assets.ingest.records import Record
from bike_assets.logs import KAFKA_LOG
from bike_assets.model.errors import BrokerUnavailable, Fenced, NotForgotten, WrongSettings
from bike_assets.model.messages import MemberCursor, MemberForgotten, User
from bike_assets.model.personal import HOW_TO_MAKE_A_KEY, Keyed
from bike_assets.model.topics import MAX_COMPACTION_LAG_MS, MEMBERS_STATE, USERS_CREATED, partition_of

GONE_WITHIN_S = 120.0
_AGAIN_S = 1.0
_ROLLS_S = MAX_COMPACTION_LAG_MS / 1000 + 0.5
_PRODUCER: dict[str, Any] = {"transactional.id": "members", "enable.idempotence": True, "logger": KAFKA_LOG}


class MembersWriter:
    """Opening it fences the writer before, whose open transaction is aborted, and reads what that one had committed."""

    def __init__(self, bootstrap_servers: str, partitions: int, keyed: Keyed) -> None:
        self._servers, self._partitions, self._keyed = bootstrap_servers, partitions, keyed
        self._producer: Producer | None = None
        self.known = Known()

    def open(self) -> Known:
        """Who is known. Raises BrokerUnavailable, and WrongSettings where they were hashed with another key."""
        self._producer = Producer({**_PRODUCER, "bootstrap.servers": self._servers})
        try:
            self._producer.init_transactions(ANSWER_S)
            self.known = self._recall()
        except KafkaException as err:
            raise _named(err) from None
        cursor = self.known.cursor
        if cursor is not None and cursor.key_check != self._keyed.check:
            raise WrongSettings(
                "BIKE_MEMBERS_KEY is not the one that the members in this Kafka were stored with: with another one all "
                "of them would be stored again, and who asked to be forgotten too. Set the key of before."
            )
        return self.known

    def commit(self, records: Iterable[Record]) -> None:
        """Commit records in one transaction. Raises BrokerUnavailable, Fenced."""
        if self._producer is None:
            raise BrokerUnavailable("The writer of members is not open.")
        by_place: defaultdict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for each in records:
            by_place[each.topic.name, partition_of(each.key, self._partitions)].append(
                {"key": each.key, "value": each.value}
            )
        try:
            self._producer.begin_transaction()
            for (topic, partition), messages in by_place.items():
                produce_all(self._producer, topic, partition, messages)
            self._producer.commit_transaction(ANSWER_S)
        except KafkaException as err:
            self.close()
            raise _named(err) from None

    def close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def ids_by_email(self, email_hash: str) -> set[str]:
        """The members whose address has this hash, as Kafka holds them."""
        found = (msgspec.json.decode(value, type=User) for _, value in self._messages() if value is not None)
        return {user.member_id for user in found if user.email_hash == email_hash}

    def forget(self, member_ids: Sequence[str], at: datetime) -> None:
        """Never take them again, and tell Kafka to drop what it holds of them."""
        keys = [self._keyed.member(each) for each in member_ids]
        noted = [Record(MEMBERS_STATE, key, msgspec.json.encode(MemberForgotten(member_key=key, asked_at=at)))
                 for key in keys]  # fmt: skip
        self.commit([*noted, *self._tombstones(keys)])

    def await_gone(self, member_ids: Sequence[str], within_s: float = GONE_WITHIN_S) -> None:
        """Return once Kafka holds no message of them any more. Raises NotForgotten where it takes too long.

        Kafka never cleans the segment that it writes to. The second message that forgets them closes the segment with
        the first one, and the cleaner then drops all that lies before it. A reader from the beginning gets whatever the
        segments hold.
        """
        keys = {self._keyed.member(each) for each in member_ids}
        ends = time.monotonic() + within_s
        time.sleep(_ROLLS_S)
        self.commit(self._tombstones(sorted(keys)))
        while any(key in keys and value is not None for key, value in self._messages()):
            if time.monotonic() > ends:
                raise NotForgotten(
                    f"Kafka still holds a message of the member after {within_s:.0f} s: its log cleaner does not run, "
                    "or is busy. Do the same again later."
                )
            time.sleep(_AGAIN_S)
        time.sleep(_ROLLS_S)  # the files that were cleaned are removed a second after they were replaced

    def _tombstones(self, keys: Iterable[str]) -> list[Record]:
        return [Record(USERS_CREATED, key, None) for key in keys]

    def _messages(self) -> Iterator[tuple[str, bytes | None]]:
        for partition in range(self._partitions):
            for message in read_to_end(self._servers, [USERS_CREATED.name], partition):
                yield (message.key() or b"").decode(), message.value()

    def _recall(self) -> Known:
        members: set[str] = set()
        forgotten: set[str] = set()
        cursor: MemberCursor | None = None
        for partition in range(self._partitions):
            for message in read_to_end(self._servers, [USERS_CREATED.name, MEMBERS_STATE.name], partition):
                key, value = (message.key() or b"").decode(), message.value()
                if message.topic() == USERS_CREATED.name:
                    (members.discard if value is None else members.add)(key)
                elif value is not None and key == MemberCursor.KEY:
                    cursor = msgspec.json.decode(value, type=MemberCursor)
                elif value is not None:
                    forgotten.add(key)
        return Known(members, forgotten, cursor)


def now() -> datetime:
    """As all instants of ours: in UTC, to the millisecond."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def key_missing() -> WrongSettings:
    return WrongSettings(f"BIKE_MEMBERS_KEY is not set, and members are hashed with it. {HOW_TO_MAKE_A_KEY}")


def _named(err: KafkaException) -> BrokerUnavailable | Fenced:
    error = err.args[0]
    if is_fenced(error):
        return Fenced("Another process writes members to this Kafka: this one ends.")
    return BrokerUnavailable(f"Kafka did not confirm what was written of members: {error.str()}.")
