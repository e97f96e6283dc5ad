import pytest

from bike_assets.dashboard import events
from bike_assets.dashboard.events import FRAMES_KEPT
from bike_assets_tests.dashboard.builders import description, polled, station, system
from bike_assets_tests.dashboard.memory_feed import MemoryFeed
from bike_assets_tests.dashboard.serving import serve
from bike_assets_tests.dashboard.sse import PlainViewer, viewers


def bikes(snapshot: dict[str, list[list[object]]]) -> dict[object, object]:
    at = snapshot["station_fields"].index("bikes_available")  # type: ignore[arg-type]
    return {row[0]: row[at] for row in snapshot["stations"]}


def test_a_viewer_begins_with_a_snapshot_and_then_gets_changes() -> None:
    feed = MemoryFeed(system(), description(), station(bikes_available=5), polled())
    with serve(feed) as page, PlainViewer(page.port) as viewer:
        assert "200" in viewer.head
        assert "text/event-stream" in viewer.head
        at = viewer.next_of("snapshot")["station_fields"].index("bikes_available")
        feed.put(station(bikes_available=4))
        (row,) = viewer.next_of("changes")["stations"]
        assert (row[0], row[at]) == ("oslo/1", 4)


def test_all_viewers_get_the_same_frame() -> None:
    feed = MemoryFeed(station())
    with serve(feed) as page, viewers(page.port, 20) as watching:
        for viewer in watching:
            viewer.next_of("status")
        feed.put(station(bikes_available=4), station("2"))
        frames = [viewer.next_of("changes") for viewer in watching]
        assert all(frame == frames[0] for frame in frames)
        assert [row[0] for row in frames[0]["stations"]] == ["oslo/1", "oslo/2"]


def test_whoever_comes_again_gets_the_newest_of_everything_whatever_was_missed() -> None:
    feed = MemoryFeed(station("1"), station("2"))
    with serve(feed) as page:
        with PlainViewer(page.port) as viewer:
            viewer.next_of("status")
            feed.put(station("1", bikes_available=1), station("2", bikes_available=2))
            viewer.next_of("changes")
        with PlainViewer(page.port, headers="Last-Event-ID: 7\r\n") as again:
            assert bikes(again.next_of("snapshot")) == {"oslo/1": 1, "oslo/2": 2}


def test_a_broker_that_goes_and_comes_is_told_and_followed_by_a_fresh_snapshot() -> None:
    feed = MemoryFeed(station("1"))
    with serve(feed) as page, PlainViewer(page.port) as viewer:
        while viewer.next_of("status")["connection"] != "live":
            pass
        feed.break_down(station("2"))
        told = viewer.next_of("status")
        assert told["connection"] == "down"
        assert "does not answer" in told["reason"]
        feed.mend()
        assert bikes(viewer.next_of("snapshot")) == {"oslo/2": 5}


def test_a_viewer_that_does_not_read_is_dropped_told_to_reload_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "BATCH_S", 0.001)
    long = "x" * 100_000
    feed = MemoryFeed(station(), description(name=long))
    with serve(feed) as page, PlainViewer(page.port) as quick, PlainViewer(page.port, receive_buffer=4096) as slow:
        quick.next_of("status")
        slow.next_of("status")
        sent = 0
        while page.broadcaster.viewers == 2:
            feed.put(station(bikes_available=sent % 1000))
            quick.next_of("changes")
            sent += 1
        assert sent >= FRAMES_KEPT
        names = [event.name for event in slow.rest()]
        assert names[-1] == "reload"
        assert names.count("changes") < sent


def test_a_viewer_that_leaves_is_forgotten() -> None:
    feed = MemoryFeed(station())
    with serve(feed) as page, PlainViewer(page.port) as staying:
        staying.next_of("status")
        with PlainViewer(page.port) as leaving:
            leaving.next_of("status")
            assert page.broadcaster.viewers == 2
        count = 0
        while page.broadcaster.viewers == 2:
            feed.put(station(bikes_available=count % 1000))
            staying.next_of("changes")
            count += 1
        assert page.broadcaster.viewers == 1
        assert count < FRAMES_KEPT / 2, "it was not forgotten but dropped as too slow"


def test_a_server_that_stops_ends_its_streams_at_once() -> None:
    with serve(MemoryFeed(station())) as page:
        viewer = PlainViewer(page.port)
        viewer.next_of("status")
    with viewer:
        assert all(event.name == "status" for event in viewer.rest())
