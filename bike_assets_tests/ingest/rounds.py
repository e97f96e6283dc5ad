"""Two systems of the simulator, polled in turn over HTTP and committed by one lane, at instants that a test gives."""

import json
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import requests
from pydantic import SecretStr

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.lanes import Lane
from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.routing import expected_parts
from bike_assets.model import topics
from bike_assets.model.answers import Answer, Description
from bike_assets.model.messages import Poll
from bike_assets.model.readings import Reading
from bike_assets.simulator.city import City, SimStation
from bike_assets.simulator.server import serve
from bike_assets.sources.config import GbfsSource, JcdecauxSource, Source
from bike_assets.sources.deadlines import DeadlineAdapter
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults
from bike_assets_tests.ingest.stand_in import StandInKafka
from bike_assets_tests.simulator.builders import MORNING, QUIET, fleet, station

TOWN, VILLAGE = "jcdecaux:town", "jcdecaux:village"
JCDECAUX, JCDECAUX_3, GBFS, GBFS_3 = "jcdecaux v1", "jcdecaux v3", "gbfs 2.3", "gbfs 3.0"
ALL_CONTRACTS = "jcdecaux v1, all contracts"
KINDS = (JCDECAUX, JCDECAUX_3, GBFS, GBFS_3)
KEY = "canary-5f3e9d-0a1b2c"
MAX_BYTES = 2_000_000
WAIT_S = 20
DAY_S = 86_400


def stations() -> list[SimStation]:
    return [station("1", bikes=6, ebikes=2), station("2", bikes=5), station("3", bikes=9, ebikes=1),
            station("4", bikes=1)]


def _source(kind: str, url: str, system_id: str) -> Source:
    family, version = kind.split()
    if family == "gbfs":
        return GbfsSource(system_id=system_id, url=f"{url}/gbfs/{system_id}/{version}/gbfs.json")
    number: Literal[1, 3] = 1 if version == "v1" else 3
    return JcdecauxSource(contract=system_id.partition(":")[2], version=number, url=url)


class Clock:
    """The simulated instant."""

    at = MORNING

    def __call__(self, _: object = None) -> datetime:
        return self.at


class Rounds:
    """Polls of both systems, the one with the faults first; `asked` are the addresses of all requests."""

    def __init__(self, kind: str, url: str, cities: dict[str, City], fetcher: Fetcher, clock: Clock) -> None:
        self.kind, self.url, self._clock = kind, url, clock
        self.kafka = StandInKafka()
        self.asked: list[str] = []
        self._cities = cities
        sources: list[Source] = (
            [JcdecauxSource(contracts=("town", "village"), url=url)] if kind == ALL_CONTRACTS
            else [_source(kind, url, each) for each in cities]
        )  # fmt: skip
        defaults = Defaults(60, url, SecretStr(KEY))
        self.askers = [SourceAsker(each, defaults, fetcher) for each in sources]
        self._lane = Lane(self.kafka.writer(0), 0)
        self._said: list[Poll] = []
        self._news = threading.Condition()
        self._lane.start(self._committed)

    def _committed(self, pairs: Iterable[tuple[Answer, Poll]]) -> None:
        with self._news:
            for answer, poll in pairs:
                self._said.append(poll)
                for asker in self.askers:
                    if poll.system_id in asker.system_ids:
                        asker.committed(answer, poll)
            self._news.notify_all()

    @property
    def at(self) -> datetime:
        """The instant of the last round."""
        return self._clock.at

    def fault(self, name: str | None, file: str | None = None) -> None:
        """Make the town misbehave, in its files with stations or in one file; None: behave."""
        self._post("fault", TOWN, **{key: value for key, value in (("fault", name), ("file", file)) if value})

    def ride(self) -> None:
        """A bike goes from one station to another, in both cities."""
        for system_id in self._cities:
            self._post("ride", system_id)

    def _post(self, what: str, system_id: str, **more: str) -> None:
        params = {"system_id": system_id} | more
        requests.post(f"{self.url}/admin/{what}", params=params, timeout=10).raise_for_status()

    def poll(self, **later: float) -> dict[str, Poll]:
        """A round, so much later than the one before it: the town's poll records, by feed."""
        self._clock.at += timedelta(**later)
        self._said = []
        parts = 0
        for asker in self.askers:
            for answer in asker.ask():
                for part in expected_parts(answer, asker.system_ids):
                    self._lane.put(part)
                    parts += 1
        with self._news:
            assert self._news.wait_for(lambda: len(self._said) == parts, WAIT_S)
        self._lane.check()
        return {each.feed: each for each in self._said if each.system_id == TOWN}

    def close(self) -> None:
        self._lane.stop()

    def town(self) -> SystemMemory:
        """What is committed of the town."""
        return self.kafka.memories(0)[TOWN]

    def readings(self) -> dict[str, Reading]:
        """The town's stations that are not absent, as committed."""
        return {name: known.reading for name, known in self.town().stations.items() if known.absent_since is None}

    def true_readings(self) -> dict[str, Reading]:
        """How it is in the town."""
        ebikes = self.kind not in (JCDECAUX, ALL_CONTRACTS)
        return {
            each.station_id: Reading(each.bikes, each.ebikes if ebikes else None, each.docks, None, None,
                                     each.is_open, each.is_open, each.is_open)
            for each in self._cities[TOWN].stations
        }

    def true_descriptions(self) -> dict[str, Description]:
        """What the town's stations are."""
        terminal = False if self.kind.startswith("jcdecaux") else None
        address = "" if self.kind.startswith("jcdecaux") else None
        return {
            each.station_id: Description(each.name, address, each.lat, each.lon, each.capacity, terminal)
            for each in self._cities[TOWN].stations
        }

    def events(self) -> list[tuple[datetime, str, str]]:
        """The town's: when, of which station, of which kind."""
        return [(row["observed_at"], row["station_id"], str(row["kind"]))
                for row in self.kafka.rows(topics.STATION_STATUS) if row["system_id"] == TOWN]  # fmt: skip

    def rejections(self, feed: str) -> list[tuple[int, str]]:
        """The town's of the last round: place and reason."""
        return [(row["row_index"], row["reason"]) for row in self.kafka.rows(topics.REJECTIONS)
                if (row["system_id"], row["feed"], row["fetched_at"]) == (TOWN, feed, self.at)]  # fmt: skip

    def of_village(self) -> list[tuple[str, str, Any]]:
        """All that was ever committed of the other system, but for what differs from run to run."""
        found = []
        for record in self.kafka.committed[0]:
            if record.key.partition("/")[0] == VILLAGE:
                value = json.loads(record.value or b"null")
                found.append((record.topic.name, record.key, value))
                for name in ("request_id", "seconds") if record.topic is topics.POLLS else ():
                    del value[name]
        return found


@contextmanager
def rounds(
    kind: str, patch: pytest.MonkeyPatch, deadline_s: float = 10, tls: ssl.SSLContext | None = None, vehicles: int = 0
) -> Iterator[Rounds]:
    """Rounds of polls; every feed is due in each, and retries do not wait."""
    ids = [TOWN, VILLAGE]
    names = {each: each.partition(":")[2].title() for each in ids}
    cities = {each: City(each, names[each], stations(), 1, MORNING, "Etc/UTC", QUIET,
                         fleet=fleet(vehicles) if vehicles else None) for each in ids}
    fetcher = Fetcher(deadline_s, MAX_BYTES)
    clock, asked = Clock(), list[str]()
    send = DeadlineAdapter.send

    def noted(self: DeadlineAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        asked.append(request.url or "")
        return send(self, request, *args, **kwargs)

    patch.setattr("bike_assets.ingest.lanes._IDLE_S", 0.01)
    patch.setattr("bike_assets.simulator.server._LOOK_S", 0.005)
    with serve(list(cities.values()), 0, clock, tls=tls) as url:
        patch.setattr("bike_assets.ingest.asking.datetime", SimpleNamespace(now=clock))
        patch.setattr("bike_assets.ingest.asking.time", SimpleNamespace(monotonic=count(step=2 * DAY_S).__next__))
        patch.setattr("bike_assets.sources.http.BACK_OFF_S", 0.001)
        made = Rounds(kind, url, cities, fetcher, clock)
        made.asked = asked
        patch.setattr(DeadlineAdapter, "send", noted)
        try:
            yield made
        finally:
            made.close()
            fetcher.close()
