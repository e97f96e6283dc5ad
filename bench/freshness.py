"""How old a change is when it is seen: from the API's answer to the browser's memory and to the Delta row.

A ride is asked of the simulator; its answer says when the feed changed. The next poll sees it, so the
first figures hold the wait for that poll; those from the poll on do not.
"""

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import requests
from playwright.sync_api import Page

from bench.demo import ANSWER_S, HAS_LIVE_STATION, START_S, demo, home_with_jars, is_page_live, wait_for
from bench.report import percentiles, result, say
from bike_assets.lake.tables import table_path
from bike_assets.local.demo import POLL_SECONDS, TRIGGER_SECONDS
from bike_assets.model.tables import EVENTS_STATION_STATUS
from bike_assets.model.topics import station_key
from bike_assets_tests.browser import chromium
from bike_assets_tests.journeys.homes import Home, wait_until

RIDES = 30
SYSTEM_ID = "oslobysykkel"
SEED = 1
SEEN_WITHIN_S = 4.0 * POLL_SECONDS
STORED_WITHIN_S = 60.0

# The stations of the ride that changed after it, as [key, changed_at, receivedAt] of the browser.
_CHANGED = """([keys, after]) => keys
    .map((key) => [key, window.bikeLive.stations.get(key)?.changed_at ?? 0, window.bikeLive.receivedAt.get(key) ?? 0])
    .filter(([, changedAt]) => changedAt > after)"""


class Seen(NamedTuple):
    """A change: its station's key, and in epoch ms when it was made, polled and in the browser."""

    key: str
    made_at: int
    polled_at: int
    received_at: int


def run() -> None:
    """RIDES rides at times that have nothing to do with the polls'."""
    with home_with_jars() as made, demo(made), chromium() as browser:
        wait_for("a station among the page's answers", lambda: is_page_live(made))
        page = browser.new_page()
        page.goto(made.url("PAGE_PORT"))
        page.wait_for_function(HAS_LIVE_STATION, timeout=START_S * 1000)
        say("freshness: what was replayed goes into the tables first")
        made.answer("drain")
        seen = list(_rides(made, page))
        stored = _stored_at(made, seen)
    result(
        "freshness",
        rides=RIDES,
        seen=len(seen),
        poll_seconds=POLL_SECONDS,
        trigger_seconds=TRIGGER_SECONDS,
        **percentiles("change_to_browser", [(each.received_at - each.made_at) / 1000 for each in seen]),
        **percentiles("poll_to_browser", [(each.received_at - each.polled_at) / 1000 for each in seen]),
        **percentiles("change_to_delta", [(at - each.made_at) / 1000 for each, at in stored.items()]),
        **percentiles("poll_to_delta", [(at - each.polled_at) / 1000 for each, at in stored.items()]),
    )


def _rides(made: Home, page: Page) -> Iterator[Seen]:
    """Each ride whose change came to the browser; the others were undone by a ride before the next poll."""
    chance = random.Random(SEED)
    for number in range(RIDES):
        say(f"freshness: ride {number + 1} of {RIDES}")
        time.sleep(chance.uniform(0, POLL_SECONDS))
        ride = _ride(made)
        ends = time.monotonic() + SEEN_WITHIN_S
        while time.monotonic() < ends:
            changed = page.evaluate(_CHANGED, [ride.keys, ride.at])
            if changed:
                key, polled_at, received_at = changed[0]
                yield Seen(key, ride.at, polled_at, round(received_at))
                break
            time.sleep(0.1)


class Ride(NamedTuple):
    """Its two stations, and when it was made, in epoch ms."""

    keys: list[str]
    at: int


def _ride(made: Home) -> Ride:
    url = f"{made.url('SIMULATOR_PORT')}/admin/ride"
    answer = requests.post(url, params={"system_id": SYSTEM_ID}, timeout=ANSWER_S)
    answer.raise_for_status()
    ride = answer.json()
    keys = [station_key(SYSTEM_ID, ride[end]["station_id"]) for end in ("from", "to")]
    return Ride(keys, _epoch_ms(datetime.fromisoformat(ride["at"])))


def _stored_at(made: Home, seen: list[Seen]) -> dict[Seen, int]:
    """When the commit that holds each change's row was written, in epoch ms: its file's own time."""
    table = table_path(made.path / "lake", EVENTS_STATION_STATUS)
    rows: dict[tuple[str, int], int] = {}
    done: set[Path] = set()

    def are_all_there() -> bool:
        for commit in sorted((table / "_delta_log").glob("*.json")):
            if commit not in done:
                done.add(commit)
                for row in _rows_added(table, commit):
                    rows.setdefault(row, commit.stat().st_mtime_ns // 1_000_000)
        return all((each.key, each.polled_at) in rows for each in seen)

    wait_until(are_all_there, STORED_WITHIN_S, "every change is in the table")
    return {each: rows[each.key, each.polled_at] for each in seen}


def _rows_added(table: Path, commit: Path) -> Iterator[tuple[str, int]]:
    """Key and `observed_at` of each row that a commit of the table added."""
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    for action in actions:
        if "add" not in action:
            continue
        columns = ["system_id", "station_id", "observed_at"]
        for row in pq.read_table(table / action["add"]["path"], columns=columns, partitioning=None).to_pylist():
            yield station_key(row["system_id"], row["station_id"]), _epoch_ms(row["observed_at"])


def _epoch_ms(at: datetime) -> int:
    return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
