"""A member's way through everything, and out of it again: real broker, stream, Cassandra and Dagster storage."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

from bike_assets.defs.ingestion.members import members
from bike_assets.defs.resources import Bike, Lake
from bike_assets.defs.streaming.assets import events_tables
from bike_assets.defs.streaming.checks import keys_are_unique, only_what_the_policy_leaves
from bike_assets.model.personal import Keyed
from bike_assets.simulator.server import serve
from bike_assets.stream.sinks.created_users import CreatedUsers
from bike_assets.stream.sinks.users import UsersCarrier
from bike_assets_tests.cassandra import CassandraServer
from bike_assets_tests.journeys.homes import Home, home
from bike_assets_tests.journeys.traces import files_with

KEY = "a key of tests, long enough to be one"
CANARY = 7


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with serve([], 0) as base:
        yield f"{base}/members/api/?seed=canary"


@pytest.fixture(scope="module")
def a_home(api: str, cassandra_running: CassandraServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    database = f"cassandra://127.0.0.1:{cassandra_running.port}/members_journey"
    with home(tmp_path_factory.mktemp("members"), MEMBERS_URL=api, MEMBERS_KEY=KEY, MEMBERS_CASSANDRA=database) as own:
        yield own


def materialize(own: Home, *assets: Any) -> dg.ExecuteInProcessResult:
    """A run in a Dagster whose record lies in the home."""
    resources = {"bike": Bike(), "lake": Lake(path=str(own.path / "lake"))}
    (own.path / "dagster").mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(own.path / "dagster")) as instance:
        today = f"{datetime.now(UTC):%Y-%m-%d}" if events_tables in assets else None
        return dg.materialize(list(assets), instance=instance, resources=resources, partition_key=today)


def test_a_member_comes_everywhere_and_a_forgotten_one_is_nowhere(
    a_home: Home, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in a_home.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(a_home.directory)
    people = requests.get(api, params={"results": 100}, timeout=10).json()["results"]
    canary = people[CANARY]
    keyed = Keyed(KEY)
    kept = [canary["login"]["uuid"], keyed.email(canary["email"])]
    # A postcode as JSON has it: five bare digits stand in many a time and number of process.
    dropped = [canary["email"], canary["login"]["username"], canary["phone"], canary["cell"], canary["id"]["value"],
               *(canary["login"][name] for name in ("password", "salt", "md5", "sha1", "sha256")),
               f'"{canary["location"]["postcode"]}"', canary["location"]["coordinates"]["latitude"]]  # fmt: skip
    lake = a_home.path / "lake"
    broker = a_home.running("run", "broker", until=lambda: a_home.bike("status").returncode == 0)
    with broker, a_home.running("run", "stream", until=lambda: is_up(a_home), within_s=120):
        result = materialize(a_home, members)
        event, _ = result.get_asset_materialization_events()
        created = event.materialization.metadata["created"].value
        assert isinstance(created, int)
        assert created >= 120
        assert a_home.answer("members", "poll")["created"] <= 1
        assert materialize(a_home, events_tables, *keys_are_unique, only_what_the_policy_leaves).success
        sink = CreatedUsers(a_home.environment["BIKE_MEMBERS_CASSANDRA"])
        carrier = UsersCarrier(lake, sink)
        carrier.carry()
        assert carrier.trouble is None
        assert kept[0] in sink.ids()
        assert carrier.written >= 120

        before = files_with(a_home.path, [*kept, *dropped])
        assert {text: files for text, files in before.items() if text in dropped and files} == {}
        for text in kept:
            assert {Path(each).parts[0] for each in before[text]} == {"kafka", "lake"}, before[text]

        told = a_home.answer("members", "forget", "--email", canary["email"].upper())
        assert (told["rows"], told["cassandra"]) == (1, "removed")
        assert kept[0] not in sink.ids()
        record = a_home.path / "forgotten.jsonl"
        assert keyed.member(kept[0]) in record.read_text()
        assert stat.S_IMODE(record.stat().st_mode) == 0o600
        after = files_with(a_home.path, kept)
        assert not any(after.values()), after

        again = a_home.answer("members", "poll")
        assert (again["suppressed"], again["forgotten"]) == (1, 1)
        assert a_home.answer("drain")["by"] == "the resident stream"
        carrier.carry()
        rows = a_home.rows("select count(*) as rows, count(distinct member_id) as ids from events.users")
        assert rows[0]["rows"] == rows[0]["ids"] == len(sink.ids()) >= 119
        assert not any(files_with(a_home.path, kept).values())
        sink.close()


def is_up(own: Home) -> bool:
    return own.bike("status", "stream").returncode == 0
