"""What is asked of a source, against the simulator's real server."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from bike_assets.ingest import asking
from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.poller import JITTER
from bike_assets.model.answers import Answer
from bike_assets.simulator.server import serve
from bike_assets.sources.config import GbfsSource, JcdecauxSource
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults, plans_from_discovery
from bike_assets_tests.ingest.builders import taken
from bike_assets_tests.simulator.builders import MORNING, city, fleet, station

PAIR = [station("1"), station("2")]


@pytest.fixture
def url() -> Iterator[str]:
    with serve([city(PAIR), city(PAIR, system_id="jcdecaux:lyon")], 0, lambda: MORNING) as base:
        yield base


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    own = Fetcher(10, 10**7)
    yield own
    own.close()


def gbfs(url: str, fetcher: Fetcher) -> SourceAsker:
    source = GbfsSource(system_id="town", url=f"{url}/gbfs/town/gbfs.json")
    return SourceAsker(source, Defaults(60, url, None), fetcher)


def feeds(answers: list[Answer]) -> list[str]:
    return [each.feed.removeprefix("gbfs.") for each in answers]


def test_the_status_comes_last_and_the_rest_is_asked_once(url: str, fetcher: Fetcher) -> None:
    asker = gbfs(url, fetcher)
    first = feeds(list(asker.ask()))
    assert (first[0], first[-1]) == ("gbfs", "station_status")
    assert sorted(first[1:-1]) == ["station_information", "system_information", "vehicle_types"]
    assert feeds(list(asker.ask())) == ["station_status"]


@pytest.fixture
def with_vehicles() -> Iterator[str]:
    with serve([city(PAIR, fleet=fleet(3))], 0, lambda: MORNING) as base:
        yield base


def test_vehicles_are_asked_with_the_status_though_a_turn_comes_a_little_early(
    with_vehicles: str, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.monotonic()
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: at))
    asker = gbfs(with_vehicles, fetcher)
    assert feeds(list(asker.ask()))[-2:] == ["free_bike_status", "station_status"]
    at += 60 * (1 - JITTER)
    assert feeds(list(asker.ask())) == ["free_bike_status", "station_status"]


def ask(asker: SourceAsker, memory: SystemMemory) -> list[Answer]:
    """A turn, each answer of which is committed at once."""
    answers = []
    for answer in asker.ask():
        answers.append(answer)
        asker.committed(answer, taken(memory, answer).poll)
    return answers


def test_vehicles_that_hold_for_longer_are_asked_less_often(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.monotonic()
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: at))
    monkeypatch.setattr(asking, "ttl_of", lambda body: 300 if b'"bikes"' in body else 0)
    with serve([city(PAIR, fleet=fleet(3))], 0, lambda: MORNING) as base:
        asker, memory = gbfs(base, fetcher), SystemMemory("town")
        found = []
        for _ in range(12):
            found.append("free_bike_status" in feeds(ask(asker, memory)))
            at += 60
    assert [turn for turn, is_asked in enumerate(found) if is_asked] == [0, 1, 6, 11], "the first was not known yet"
    assert asker.interval_s == 60, "the stations' own"


def test_a_system_of_vehicles_alone_has_its_turns_for_them(
    with_vehicles: str, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = plans_from_discovery
    monkeypatch.setattr(asking, "plans_from_discovery",
                        lambda *given: tuple(plan for plan in plans(*given) if plan.feed != "gbfs.station_status"))
    asker = gbfs(with_vehicles, fetcher)
    assert feeds(list(asker.ask()))[-1] == "free_bike_status"
    assert feeds(list(asker.ask())) == ["free_bike_status"]
    assert (asker.status_feed, asker.interval_s, asker.poll_seconds) == ("vehicle_status", 60, 60)


def test_a_discovery_that_failed_is_asked_again(url: str, fetcher: Fetcher) -> None:
    source = GbfsSource(system_id="town", url=f"{url}/gbfs/nowhere/gbfs.json")
    asker = SourceAsker(source, Defaults(60, url, None), fetcher)
    assert [[each.http_status for each in asker.ask()] for _ in range(2)] == [[404], [404]]


def test_an_etag_is_used_only_after_a_good_poll(url: str, fetcher: Fetcher) -> None:
    asker, memory = gbfs(url, fetcher), SystemMemory("town")
    unread = list(asker.ask())[-1]
    again = list(asker.ask())[-1]
    assert (unread.http_status, again.http_status) == (200, 200)
    asker.committed(again, taken(memory, again).poll)
    unchanged = list(asker.ask())[-1]
    assert unchanged.http_status == 304
    asker.committed(unchanged, taken(memory, unchanged).poll)
    assert list(asker.ask())[-1].http_status == 304
    late = taken(memory, again).poll
    assert late.outcome == "out_of_order"
    asker.committed(again, late)
    assert list(asker.ask())[-1].http_status == 200


def test_the_etag_of_an_asker_before_is_not_learnt(url: str, fetcher: Fetcher) -> None:
    before, now = gbfs(url, fetcher), gbfs(url, fetcher)
    late = list(before.ask())[-1]
    poll = taken(SystemMemory("town"), late).poll
    now.committed(late, poll)
    assert list(now.ask())[-1].http_status == 200
    now.committed(late, poll)
    assert list(now.ask())[-1].http_status == 200, "it may be another server's"


def test_a_source_of_several_contracts_is_one_request(url: str, fetcher: Fetcher) -> None:
    source = JcdecauxSource(contracts=("Lyon", "Nantes"), url=url)
    asker = SourceAsker(source, Defaults(60, url, SecretStr("key")), fetcher)
    [answer] = asker.ask()
    assert (answer.system_id, answer.http_status) == ("jcdecaux", 200)
    assert asker.system_ids == {"jcdecaux:lyon", "jcdecaux:nantes"}
