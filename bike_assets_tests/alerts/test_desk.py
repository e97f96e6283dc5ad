"""One alert when an incident begins and one when it is over, whatever fails in between."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from bike_assets.alerts import incidents
from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import REMEMBERED, Alert, Book, Channel, Event, read_book, write_book
from bike_assets.model.errors import NotSent
from bike_assets_tests.alerts.builders import trouble
from bike_assets_tests.model.builders import NOON


class Channels:
    """Two channels in memory; those in `down` take nothing, those in `stumbles` refuse once."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []
        self.down: set[str] = set()
        self.stumbles: set[str] = set()
        self.names = ["slack", "webhook"]

    def desk(self, path: Path) -> Desk:
        return Desk(path / "book.json", {name: self._channel(name) for name in self.names}, NOON)

    def _channel(self, name: str) -> Channel:
        def send(alert: Alert) -> None:
            if name in self.down or name in self.stumbles:
                self.stumbles.discard(name)
                raise NotSent(f"{name} is down")
            self.taken.append((name, alert.event, alert.trouble.key))

        return send

    def of(self, name: str) -> list[tuple[str, str]]:
        return [(event, key) for who, event, key in self.taken if who == name]


@pytest.fixture
def channels() -> Channels:
    return Channels()


WHOLE = [(Event.OPEN, "service/poller"), (Event.OVER, "service/poller")]


def tick(channels: Channels, path: Path, *, is_wrong: bool, since_s: float = 0) -> str:
    desk = channels.desk(path)
    if is_wrong:
        desk.begin(trouble(since=NOON + timedelta(seconds=since_s)))
    else:
        desk.end("service/poller", "It is well.")
    desk.close()
    return desk.says("All is well.")


def test_a_damaged_book_is_put_aside_and_what_is_wrong_is_told_again(channels: Channels, tmp_path: Path) -> None:
    tick(channels, tmp_path, is_wrong=True)
    (tmp_path / "book.json").write_text('{"open": {"serv')
    tick(channels, tmp_path, is_wrong=True)
    tick(channels, tmp_path, is_wrong=False)
    assert channels.of("slack") == [WHOLE[0], *WHOLE]
    assert (tmp_path / "book.damaged").read_text() == '{"open": {"serv'


def test_many_ticks_of_one_incident_tell_it_once_and_its_end_once(channels: Channels, tmp_path: Path) -> None:
    said = [tick(channels, tmp_path, is_wrong=is_wrong) for is_wrong in (False, True, True, True, False, False)]
    assert channels.of("slack") == channels.of("webhook") == WHOLE
    assert said == ["All is well.", *["service/poller is wrong."] * 3, "It is well.", "All is well."]


def test_the_same_again_is_another_incident(channels: Channels, tmp_path: Path) -> None:
    for second in (0, 60):
        tick(channels, tmp_path, is_wrong=True, since_s=second)
        tick(channels, tmp_path, is_wrong=False)
    assert channels.of("slack") == WHOLE * 2


def test_an_incident_that_is_over_is_not_told_again_when_it_is_seen_again(channels: Channels, tmp_path: Path) -> None:
    """A crash after the book was written and before Dagster kept the cursor: the same run is read again."""
    for is_wrong in (True, False, True):
        tick(channels, tmp_path, is_wrong=is_wrong)
    assert channels.of("slack") == WHOLE
    assert channels.desk(tmp_path).open == []


def test_a_channel_that_is_down_gets_all_in_order_when_it_is_back_and_holds_up_no_other(
    channels: Channels, tmp_path: Path
) -> None:
    channels.down = {"slack"}
    assert "Alerts wait: slack is down." in tick(channels, tmp_path, is_wrong=True)
    tick(channels, tmp_path, is_wrong=False)
    assert (channels.of("slack"), channels.of("webhook")) == ([], WHOLE)
    channels.down = set()
    tick(channels, tmp_path, is_wrong=False)
    assert channels.of("slack") == channels.of("webhook") == WHOLE
    tick(channels, tmp_path, is_wrong=False)
    assert len(channels.taken) == 4


def test_no_alert_overtakes_one_that_was_not_taken(channels: Channels, tmp_path: Path) -> None:
    channels.stumbles = {"slack"}
    desk = channels.desk(tmp_path)
    for key in ("a", "b"):
        desk.begin(trouble(key))
    desk.close()
    assert channels.of("slack") == []
    channels.desk(tmp_path).close()
    assert channels.of("slack") == channels.of("webhook") == [(Event.OPEN, "a"), (Event.OPEN, "b")]


def test_what_takes_too_long_goes_on_at_the_next_look(
    channels: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = channels.desk(tmp_path)
    for key in ("a", "b"):
        desk.begin(trouble(key))
    monkeypatch.setattr("bike_assets.alerts.incidents.LOOK_S", -1)
    desk.close()
    assert channels.taken == []
    monkeypatch.undo()
    channels.desk(tmp_path).close()
    assert channels.of("slack") == [(Event.OPEN, "a"), (Event.OPEN, "b")]


def test_a_crash_while_sending_repeats_at_most_one_alert_and_loses_none(
    channels: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends after each alert was taken and before that was written down."""

    class Crashed(Exception):
        pass

    desk = channels.desk(tmp_path)
    for key in ("a", "b"):
        desk.begin(trouble(key))
    writes = 0

    def crash(path: Path, book: Book) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise Crashed
        write_book(path, book)

    monkeypatch.setattr("bike_assets.alerts.desk.write_book", crash)
    with pytest.raises(Crashed):
        desk.close()
    monkeypatch.undo()
    channels.desk(tmp_path).close()
    assert channels.of("slack") == [(Event.OPEN, "a"), (Event.OPEN, "a"), (Event.OPEN, "b")]
    assert channels.of("webhook") == [(Event.OPEN, "a"), (Event.OPEN, "b")]


def test_nothing_is_sent_before_it_is_written_down(
    channels: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, book: Book) -> None:
        raise OSError("no space left")

    desk = channels.desk(tmp_path)
    desk.begin(trouble())
    monkeypatch.setattr("bike_assets.alerts.desk.write_book", fails)
    with pytest.raises(OSError, match="no space"):
        desk.close()
    assert channels.taken == []


def test_a_channel_that_is_set_no_more_gets_nothing_and_holds_up_nothing(channels: Channels, tmp_path: Path) -> None:
    channels.down = {"slack"}
    tick(channels, tmp_path, is_wrong=True)
    channels.names = ["webhook"]
    assert tick(channels, tmp_path, is_wrong=True) == "service/poller is wrong."
    assert read_book(tmp_path / "book.json").waiting == []


def test_without_a_channel_incidents_are_only_kept(channels: Channels, tmp_path: Path) -> None:
    channels.names = []
    assert tick(channels, tmp_path, is_wrong=True) == "service/poller is wrong."
    book = read_book(tmp_path / "book.json")
    assert (list(book.open), book.waiting) == (["service/poller"], [])


def test_a_book_does_not_grow_for_ever() -> None:
    book = Book()
    for number in range(REMEMBERED + 5):
        book.begin(trouble(str(number)), NOON, [])
        book.end(str(number), "", NOON, [])
    assert (len(book.told), "4" in book.told, "5" in book.told) == (REMEMBERED, False, True)


class Clock:
    """Two channels, of which `slack` lets each alert wait for ten seconds and then takes none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.taken_at: list[float] = []
        self.tries = 0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def look(self, path: Path, *keys: str) -> None:
        self.now, self.tries = 0.0, 0
        desk = Desk(path / "book.json", {"slack": self._slack, "webhook": self._webhook}, NOON)
        for key in keys:
            desk.begin(trouble(key))
        desk.close()

    def _slack(self, alert: Alert) -> None:
        self.now += 10.0
        self.tries += 1
        raise NotSent("slack does not answer")

    def _webhook(self, alert: Alert) -> None:
        self.taken_at.append(self.now)


def test_a_channel_that_lets_us_wait_is_tried_last_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    clock.look(tmp_path, "service/poller")
    assert clock.taken_at == [10.0], "nobody knew it yet"
    clock.look(tmp_path, "service/stream", "service/orders")
    assert (clock.taken_at[1:], clock.tries) == ([0.0, 0.0], 1)


def test_no_alert_is_begun_on_any_channel_when_the_look_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is looked at before each channel, and not only between alerts."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(incidents, "LOOK_S", 5.0)
    clock.look(tmp_path, "service/poller")
    assert (clock.tries, clock.taken_at) == (1, [])
    clock.look(tmp_path)
    assert clock.taken_at == [0.0], "it is left for the next look"
