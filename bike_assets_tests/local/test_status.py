"""What `bike status` says of a home, and who beats, as `bike status SERVICE` judges it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, Trouble
from bike_assets.heartbeats import FRESH_S, heartbeat, note_start
from bike_assets.local.status import refuse_silent, status
from bike_assets.model.errors import ServiceNotReady
from bike_assets.model.tables import EVENTS_REJECTIONS
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, rejection


@pytest.fixture
def settings(bare_directory: Path) -> Settings:
    """A home in which the poller beats."""
    made = load_settings()
    heartbeat(made.run, "poller")({})
    return made


def test_a_service_that_beats_is_well(settings: Settings) -> None:
    refuse_silent(settings, ["poller"])
    refuse_silent(settings, [])


def test_one_that_never_beat_is_not(settings: Settings) -> None:
    with pytest.raises(ServiceNotReady, match=r"^stream has never beaten in .*: it is down, or hangs\.$"):
        refuse_silent(settings, ["poller", "stream"])


def test_one_whose_heartbeat_is_old_is_not(settings: Settings) -> None:
    file = settings.run / "poller.heartbeat.json"
    old = datetime.now(UTC) - timedelta(seconds=FRESH_S + 1)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"at": old.isoformat()}))
    with pytest.raises(ServiceNotReady, match=rf"^poller last beat at {old:%Y-%m-%d %H:%M:%S} UTC in "):
        refuse_silent(settings, ["poller"])


def test_what_does_not_beat_is_told_with_those_that_do(settings: Settings) -> None:
    beating = "poller, stream, page, orders, sales-sink, orders-sink, members-sink"
    with pytest.raises(ServiceNotReady, match=rf"^broker has no heartbeat: {beating} have\.$"):
        refuse_silent(settings, ["broker"])


def says(settings: Settings, service: str) -> str:
    return next(str(each["says"]) for each in status(settings)["services"] if each["name"] == service)


def test_a_service_that_never_came_to_work_says_since_when_it_starts(settings: Settings) -> None:
    assert says(settings, "stream") == ""
    note_start(settings.run, "stream")
    assert says(settings, "stream").startswith("no sign of life since its start at ")


def test_a_poller_says_how_much_it_could_not_read_back(settings: Settings) -> None:
    heartbeat(settings.run, "poller")({"lanes": [{"polls": {}, "unreadable": 2}, {"polls": {}, "unreadable": 1}]})
    assert "3 messages of what is remembered could not be read, see its log" in says(settings, "poller")


def test_orders_and_the_sink_say_what_waits_and_why(settings: Settings) -> None:
    orders = {"rows": {"topics/orders": 7}, "waiting": 3, "trouble": "Kafka did not confirm."}
    heartbeat(settings.run, "orders")(orders)
    assert says(settings, "orders") == "7 orders stored, 3 wait; Kafka did not confirm."
    sink = {"caught_up_at": (datetime.now(UTC) - timedelta(seconds=90)).isoformat(), "trouble": "it is full"}
    heartbeat(settings.run, "sales-sink")(sink)
    assert says(settings, "sales-sink") == "the database's sales are as the lake's were 90 s ago; it is full"
    heartbeat(settings.run, "orders-sink")(sink | {"behind": 12, "trouble": None})
    assert says(settings, "orders-sink") == "Cassandra has the orders of 90 s ago, 12 wait"


def test_feeds_that_fail_are_named_with_the_reason_and_the_others_are_counted(settings: Settings) -> None:
    failing = {f"town{n} gbfs": "no answer in 10 s" for n in range(7)}
    heartbeat(settings.run, "poller")({"systems": 9, "lanes": [{"polls": {"ok": 3, "timeout": 7}, "failing": failing}]})
    told = says(settings, "poller")
    assert told.startswith("9 systems; polls: 3 ok, 7 timeout; town0 gbfs fails: no answer in 10 s; town1 gbfs ")
    assert told.endswith("; 2 more feeds fail")


@pytest.mark.parametrize(("messages", "has_caught_up", "words"), [
    (12, True, "12 messages behind, all in the tables up to 12:00:00 UTC; events waiting: broken"),
    (12, False, "12 messages behind, it has not caught up since its start at 12:00:00 UTC; events waiting: broken"),
    (None, True, "how far behind is not known; events waiting: broken"),
])
def test_the_stream_says_how_far_behind_it_is(
    settings: Settings, messages: int | None, has_caught_up: bool, words: str
) -> None:
    lag = {"messages": messages, "caught_up_at": NOON.isoformat(), "has_caught_up": has_caught_up}
    heartbeat(settings.run, "stream")({"lag": lag, "queries": {"events": {"state": "waiting", "reason": "broken"}}})
    assert says(settings, "stream") == words


def test_a_sources_file_that_is_wrong_is_one_clear_sentence(settings: Settings) -> None:
    trouble = "sources.toml, line 5, speed: Object contains unknown field speed."
    heartbeat(settings.run, "poller")({"systems": 2, "sources_trouble": trouble})
    assert says(settings, "poller") == (
        "the sources file is wrong, and its systems are polled as before: sources.toml, line 5, speed: Object contains "
        "unknown field speed; 2 systems; polls: none yet"
    )
    heartbeat(settings.run, "poller")({"systems": 2, "sources_trouble": None})
    assert says(settings, "poller") == "2 systems; polls: none yet"


def test_open_incidents_are_listed_the_newest_first(bare_directory: Path) -> None:
    settings = load_settings(home=bare_directory)
    assert status(settings)["incidents"] == []
    for number, watcher in enumerate(("services", "runs")):
        desk = Desk(settings.incidents / f"{watcher}.json", {}, NOON)
        desk.begin(Trouble(watcher, f"{watcher} is wrong.", NOON + timedelta(hours=number), Severity.WARNING))
        desk.begin(Trouble("over", "was wrong", NOON))
        desk.end("over", "It is well.")
        desk.close()
    assert status(settings)["incidents"] == [
        {"since": "2026-06-01T13:00:00+00:00", "severity": "warning", "says": "runs is wrong."},
        {"since": "2026-06-01T12:00:00+00:00", "severity": "warning", "says": "services is wrong."},
    ]


def test_what_was_refused_in_the_last_day_is_counted_by_system_and_reason(settings: Settings) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    assert status(settings)["rejections"] == []
    write_messages(settings.lake, EVENTS_REJECTIONS, *(
        rejection(fetched_at=now - timedelta(hours=hours), reason=reason)
        for hours, reason in ((25, "bad_field: x"), (23, "bad_field: x"), (1, "bad_field: x"), (1, "duplicate: 7"))
    ))
    assert status(settings)["rejections"] == [
        {"system_id": "oslo", "reason": "bad_field: x", "rows": 2},
        {"system_id": "oslo", "reason": "duplicate", "rows": 1},
    ]


def test_a_broken_table_of_what_was_refused_keeps_nothing_else_from_being_told(settings: Settings) -> None:
    write_messages(settings.lake, EVENTS_REJECTIONS, rejection(fetched_at=datetime.now(UTC)))
    next(settings.lake.rglob("*.parquet")).unlink()
    found = status(settings)
    assert [each["name"] for each in found["services"]] == ["orders", "page", "poller", "stream"]
    [told] = found["rejections"]
    assert told["reason"].startswith("events.rejections cannot be read")
