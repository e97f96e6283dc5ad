"""The one writer of the topic of orders: requests of a moment share a transaction, and are answered after it."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bike_assets.ingest.kafka import is_fenced, produce_all
from bike_assets.ingest.orders.book import Book, Key
from bike_assets.ingest.orders.judging import Asked, Stored, judge
from bike_assets.ingest.orders.reading import OrdersRefused
from bike_assets.logs import KAFKA_LOG
from bike_assets.model.errors import BrokerUnavailable, Fenced
from bike_assets.model.messages import Order
from bike_assets.model.topics import ORDERS, partition_of

log = structlog.get_logger()
_decode = msgspec.json.Decoder(Order).decode

ANSWER_S = 10.0
RETRY_S = 0.5
COPIED_AT_ONCE, COPY_S = 10_000, 0.1
"""What is read of the topic comes in lots: as many messages as there are after so long, which is waited for each."""

SWEEP_S = 1.0
"""How often some of the book is looked through for what may be forgotten."""

GROUP_ORDERS = 5_000
"""So many share a transaction; one request more may go over it."""

WAITING_ORDERS = 20_000
"""So many may wait: more would be answered too late to be of use."""

_PRODUCER: dict[str, Any] = {
    "transactional.id": "orders",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": 0,  # the commit sends what there is
    "logger": KAFKA_LOG,
}


class Busy(Exception):
    """More orders wait than can be stored soon."""


@dataclass(slots=True)
class _Waiting:
    asked: Asked
    gives_up: float
    answer: "Future[Stored]" = field(default_factory=Future)


class OrderWriter:
    """Stores orders in a thread of its own. What was answered is committed; what was not may be sent again.

    Opening it fences the writer before (whose open transaction is aborted), then copies what that one had committed
    into the book: so nothing that Kafka holds is unknown, whatever was killed.
    """

    def __init__(self, bootstrap_servers: str, book: Path, partitions: int, days: int) -> None:
        self._servers, self._path, self._partitions = bootstrap_servers, book, partitions
        self._days, self._sweep_due = days, 0.0
        self._queue: deque[_Waiting] = deque()
        self._orders_waiting = 0
        self._news = threading.Condition()
        self._is_stopped = False
        self._book: Book | None = None
        self._producer: Producer | None = None
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)
        self.written = 0
        self.trouble: str | None = "Kafka was not yet asked what it holds."
        self.trouble_since: datetime | None = datetime.now(UTC)
        self.failed: Exception | None = None
        self._in_hand: list[_Waiting] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Store what waits, as far as Kafka takes it, and end."""
        with self._news:
            self._is_stopped = True
            self._news.notify()
        self._thread.join(ANSWER_S * 2)

    @property
    def waiting(self) -> int:
        return self._orders_waiting

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def put(self, asked: Asked, patience_s: float) -> "Future[Stored]":
        """The answer to come: Stored, OrdersRefused or BrokerUnavailable. Raises Busy."""
        with self._news:
            if self._is_stopped or self._orders_waiting > WAITING_ORDERS:
                raise Busy
            waiting = _Waiting(asked, time.monotonic() + patience_s)
            waiting.answer.set_running_or_notify_cancel()  # a sender that goes away takes nothing back
            self._queue.append(waiting)
            self._orders_waiting += len(asked.orders)
            self._news.notify()
            return waiting.answer

    def _run(self) -> None:
        try:
            while True:
                self._make_ready()
                self._sweep()
                group = self._next_group()
                if group is None:
                    return
                self._in_hand = group
                self._store(group)
        except Exception as err:  # the service ends with it, and is started again
            self.failed = err
        finally:
            self._close()
            with self._news:
                self._is_stopped = True
                left = [*self._in_hand, *self._queue]
            for each in left:
                if not each.answer.done():
                    each.answer.set_exception(BrokerUnavailable("The service ends. Send it again."))
            if self._book is not None:
                self._book.close()

    def _make_ready(self) -> None:
        """Open at once, not with the first order: what a writer before had stored is read by then."""
        if self._producer is None:
            try:
                self._open()
            except BrokerUnavailable as err:
                self._say(err)

    def _sweep(self) -> None:
        """Forget some of what is older than what is taken; a day more, for the time that orders wait here."""
        if self._book is not None and time.monotonic() >= self._sweep_due:
            self._book.sweep((datetime.now(UTC) - timedelta(self._days + 1)).date())
            self._sweep_due = time.monotonic() + SWEEP_S

    def _next_group(self) -> list[_Waiting] | None:
        """The requests that wait, at least one; None at the end."""
        with self._news:
            self._news.wait_for(lambda: self._queue or self._is_stopped or self._producer is None, RETRY_S)
            if not self._queue and self._is_stopped:
                return None
        return self._take()

    def _take(self) -> list[_Waiting]:
        with self._news:
            group, orders = [], 0
            while self._queue and orders < GROUP_ORDERS:
                group.append(self._queue.popleft())
                orders += len(group[-1].asked.orders)
            self._orders_waiting -= orders
            return group

    def _store(self, group: list[_Waiting]) -> None:
        """Answer each request of a group. Where Kafka does not, they are tried until their time is over."""
        while group:
            try:
                answers = self._commit(group)
            except BrokerUnavailable as err:
                self._say(err)
                now = time.monotonic()
                for each in group:
                    if each.gives_up <= now or self._is_stopped:
                        each.answer.set_exception(err)
                group = [each for each in group if not each.answer.done()]
                if group:
                    time.sleep(RETRY_S)
                continue
            for each, answer in zip(group, answers, strict=True):
                if isinstance(answer, Stored):
                    each.answer.set_result(answer)
                else:
                    each.answer.set_exception(answer)
            return

    def _commit(self, group: Sequence[_Waiting]) -> list[Stored | OrdersRefused]:
        book, producer = self._open()
        wanted = {key for each in group for key in each.asked.contents}
        answers, new = judge((each.asked for each in group), book.known(wanted))
        if new:
            try:
                copied = self._produce(producer, new)
            except KafkaException as err:
                self._close()
                raise _named(err) from None
            book.note(new, copied)
            self.written += len(new)
        self._is_well()
        return answers

    def _produce(self, producer: Producer, new: dict[Key, bytes]) -> dict[int, int]:
        """Commit them in one transaction; the offset behind the last of each partition."""
        copied: dict[int, int] = {}

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:  # where it is not, the commit fails
                copied[message.partition()] = max(copied.get(message.partition(), 0), message.offset() + 1)

        by_partition: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for key, content in new.items():
            place = partition_of(key.order_id, self._partitions)
            by_partition[place].append({"key": key.order_id, "value": content})
        producer.begin_transaction()
        for partition, messages in by_partition.items():
            produce_all(producer, ORDERS.name, partition, messages, delivered)
        producer.commit_transaction(ANSWER_S)
        return copied

    def _open(self) -> tuple[Book, Producer]:
        """The book and the producer, both as the topic says. Raises BrokerUnavailable, Fenced."""
        if self._book is None:
            self._book = Book(self._path)
        if self._producer is None:
            producer = Producer({**_PRODUCER, "bootstrap.servers": self._servers})
            try:
                producer.init_transactions(ANSWER_S)
                copy_topic(self._servers, self._partitions, self._book)
            except KafkaException as err:
                raise _named(err) from None
            self._producer = producer
            self._is_well()
        return self._book, self._producer

    def _close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _say(self, err: BrokerUnavailable) -> None:
        if self.trouble != str(err):
            log.warning("orders wait for Kafka", reason=str(err))
        self.trouble, self.trouble_since = str(err), self.trouble_since or datetime.now(UTC)

    def _is_well(self) -> None:
        self.trouble = self.trouble_since = None


def copy_topic(bootstrap_servers: str, partitions: int, book: Book) -> None:
    """Bring into the book what the topic holds beyond it. Raises KafkaException, BrokerUnavailable."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap_servers,
        "group.id": "bike-orders",  # named because librdkafka wants one; nothing is committed to it
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 10,
        "auto.offset.reset": "earliest",  # where retention has removed what the book was not told of
        "logger": KAFKA_LOG,
    })  # fmt: skip
    try:
        ends = {
            each: consumer.get_watermark_offsets(TopicPartition(ORDERS.name, each), ANSWER_S)[1]
            for each in range(partitions)
        }
        config: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "logger": KAFKA_LOG}
        admin = AdminClient(config)
        book.of_cluster(str(admin.list_topics(timeout=ANSWER_S).cluster_id), ends)
        copied = book.copied()
        unread = {each for each in range(partitions) if copied.get(each, 0) < ends[each]}
        consumer.assign([TopicPartition(ORDERS.name, each, copied.get(each, 0)) for each in unread])
        silent_since = time.monotonic()
        while unread:
            messages = consumer.consume(COPIED_AT_ONCE, COPY_S)
            if messages:
                _copy(messages, book, unread)
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > ANSWER_S:
                raise BrokerUnavailable(f"Kafka did not give {ORDERS.name} to its end within {ANSWER_S:.0f} s.")
    finally:
        consumer.close()


def _copy(messages: Iterable[Any], book: Book, unread: set[int]) -> None:
    contents: dict[Key, bytes] = {}
    copied: dict[int, int] = {}
    for message in messages:
        error = message.error()
        if error is None:
            contents.setdefault(key_of(message.value()), message.value())
            copied[message.partition()] = message.offset() + 1
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            unread.discard(message.partition())
            # Behind the mark that ends the last transaction, which is no message.
            copied[message.partition()] = max(copied.get(message.partition(), 0), message.offset())
        else:
            raise KafkaException(error)
    book.note(contents, copied)


def key_of(content: bytes) -> Key:
    """The version that a message tells of."""
    order = _decode(content)
    return Key(order.order_id, order.version)


def _named(err: KafkaException) -> BrokerUnavailable | Fenced:
    error = err.args[0]
    if is_fenced(error):
        return Fenced("Another service of orders writes to this Kafka: one of them is enough, and this one ends.")
    return BrokerUnavailable(f"Kafka did not confirm ({error.str()}). Send it again: nothing is stored twice.")
