"""The same again is one, another content is refused; and the book that remembers it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.ingest.orders import book as books
from bike_assets.ingest.orders.book import Book, Key
from bike_assets.ingest.orders.judging import Asked, Stored, judge
from bike_assets.ingest.orders.reading import OrdersRefused, read_orders
from bike_assets.model.errors import NotWritten
from bike_assets_tests.ingest.orders.builders import body, sent

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)


def asked(*orders: dict[str, Any]) -> Asked:
    return Asked.of(read_orders(body(*orders), NOW, 90), is_list=len(orders) > 1)


def test_the_same_again_is_stored_once_within_a_request_and_across() -> None:
    answers, new = judge([asked(sent(), sent()), asked(sent())], {})
    assert answers == [Stored(1, 1), Stored(0, 1)]
    again, nothing = judge([asked(sent(), sent(version=2))], new)
    assert (again, set(nothing)) == ([Stored(1, 1)], {Key("A-1", 2)})


@pytest.mark.parametrize(("field", "value"), [("customer_id", "c2"), ("source", "app"), ("quantity", 3),
                                              ("total", "12.51"), ("created_at", "2026-11-20T12:00:01Z")])  # fmt: skip
def test_another_content_is_refused_by_the_field_that_differs_and_its_request_stores_nothing(
    field: str, value: Any
) -> None:
    other = sent(**{field: value})
    answers, new = judge([asked(sent()), asked(sent(order_id="B"), other), asked(sent(order_id="B", quantity=9))], {})
    assert isinstance(answers[1], OrdersRefused)
    assert (answers[1].status, answers[1].problems[0].field) == (409, f"[1].{field}")
    # B of the refused request was never taken: another B is no conflict.
    assert (answers[0], answers[2], set(new)) == (Stored(1, 0), Stored(1, 0), {Key("A-1", 1), Key("B", 1)})
    with pytest.raises(OrdersRefused, match=rf"\[1\].{field}"):
        asked(sent(), other)


def test_the_book_keeps_the_first_of_a_version_and_how_far_it_is_copied(tmp_path: Path) -> None:
    book = Book(tmp_path / "book")
    book.of_cluster("k", {0: 0})
    book.note({Key("A", 1): b"first"}, {0: 5})
    book.note({Key("A", 1): b"second", Key("A", 2): b"2"}, {0: 7, 1: 3})
    book.close()
    again = Book(tmp_path / "book")
    again.of_cluster("k", {0: 7, 1: 3})
    assert again.known([Key("A", 1), Key("A", 2), Key("B", 1)]) == {Key("A", 1): b"first", Key("A", 2): b"2"}
    assert again.copied() == {0: 7, 1: 3}


@pytest.mark.parametrize(("cluster", "end"), [("another", 9), ("k", 4)])
def test_a_book_of_another_kafka_or_of_one_that_lost_messages_begins_anew(
    tmp_path: Path, cluster: str, end: int
) -> None:
    book = Book(tmp_path / "book")
    book.of_cluster("k", {0: 0})
    book.note({Key("A", 1): b"1"}, {0: 5})
    book.of_cluster(cluster, {0: end})
    assert (book.known([Key("A", 1)]), book.copied()) == ({}, {})


def many() -> dict[Key, bytes]:
    return {Key(f"A-{number:06}", 1): b'{"created_at":"2026-11-20"}' for number in range(20_000)}


USES: dict[str, Callable[[Book], object]] = {
    "known": lambda book: book.known(many()),
    "of_cluster": lambda book: book.of_cluster("another", {0: 0}),
    "copied": lambda book: book.copied(),
    "note": lambda book: book.note(many(), {0: 9}),
    "sweep": lambda book: [book.sweep(date(2026, 11, 21)) for _ in range(9)],
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_book_that_is_broken_is_told_with_its_place_and_the_remedy(
    tmp_path: Path, use: Callable[[Book], object]
) -> None:
    path = tmp_path / "orders.sqlite"
    book = Book(path)
    book.of_cluster("k", {0: 5})
    book.note(many(), {0: 5})
    book.close()  # which brings all of it into the file
    whole = path.read_bytes()
    book = Book(path)
    path.write_bytes(whole[:4_096] + bytes(len(whole) - 4_096))  # but for the page that says which tables there are
    with pytest.raises(NotWritten, match=rf"^{path} is broken .*: move it, and its -wal and -shm, away"):
        use(book)
    book.close()


def test_what_is_no_book_is_told_with_the_remedy_and_a_full_disk_with_another(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(NotWritten, match=rf"^{path} is broken .*: move it, and its -wal and -shm, away"):
        Book(path)
    path.unlink()
    book = Book(path)
    ((pages,),) = book._db.execute("PRAGMA page_count").fetchall()
    book._db.execute(f"PRAGMA max_page_count = {pages}")  # as on a disk without room
    with pytest.raises(NotWritten, match=rf"^{path} cannot be written .*: is the disk full"):
        book.note(many(), {0: 5})
    assert book.copied() == {}


def test_a_book_forgets_what_is_too_old_to_be_taken_some_at_a_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "SWEPT", 7)
    made = {
        key: content for number in range(100)
        for key, content in asked(sent(order_id=f"A-{number * 37 % 100}", version=1 + number % 3,
                                       created_at=(NOW - timedelta(days=number % 10)).isoformat())).contents.items()
    }  # fmt: skip
    book = Book(tmp_path / "book")
    book.note(made, {0: 100})
    first = date(2026, 11, 16)  # of ten days five are kept
    assert [book.sweep(first) <= 7 for _ in range(15)] == [True] * 15
    kept = {key for key, content in made.items() if content.split(b'"created_at":"')[1][:10] >= b"2026-11-16"}
    assert (set(book.known(made)), len(kept)) == (kept, 50)
    assert book.copied() == {0: 100}, "and what was copied is not copied again"
    assert sum(book.sweep(date(2026, 11, 30)) for _ in range(8)) == 50, "from the beginning again after the last"
    assert book.known(made) == {}
