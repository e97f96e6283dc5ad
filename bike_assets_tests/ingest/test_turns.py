"""Who may begin: the longest waiting whose hosts have room, and the slow not at everybody's cost."""

from collections.abc import Iterator

import pytest

from bike_assets.ingest.asking import SLOW_S, SourceAsker
from bike_assets.ingest.turns import Turns
from bike_assets.sources.config import GbfsSource
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    own = Fetcher(1, 1)
    yield own
    own.close()


def askers(fetcher: Fetcher, host: str, count: int, *, is_slow: bool = False) -> list[SourceAsker]:
    found = []
    for number in range(count):
        source = GbfsSource(system_id=f"{host}{number}", url=f"http://{host}/{number}/gbfs.json")
        asker = SourceAsker(source, Defaults(60, "", None), fetcher)
        asker._slowest_s = SLOW_S * 2 if is_slow else 0.0
        found.append(asker)
    return found


def begun(turns: Turns) -> list[SourceAsker]:
    return [asker for asker, _ in turns.begin()]


def waiting(turns: Turns, *those: SourceAsker) -> None:
    for at, asker in enumerate(those):
        turns.wait(asker, float(at))


def test_a_host_that_hangs_has_so_many_turns_and_the_others_go_past_it(fetcher: Fetcher) -> None:
    turns = Turns(10, 2)
    hanging, good = askers(fetcher, "hangs", 5), askers(fetcher, "good", 1)
    waiting(turns, *hanging, *good)
    assert begun(turns) == [*hanging[:2], *good]
    assert turns.waiting == 3
    turns.end(hanging[0])
    assert begun(turns) == [hanging[2]]


def test_who_waits_longest_begins_first_and_keeps_its_place(fetcher: Fetcher) -> None:
    turns = Turns(1, 4)
    first, second, third = askers(fetcher, "good", 3)
    waiting(turns, first, second, third)
    turns.wait(second, 99.0)
    assert begun(turns) == [first]
    turns.end(first)
    turns.wait(first, 100.0)
    assert list(turns.begin()) == [(second, 1.0)]


def test_the_slow_have_half_of_the_threads(fetcher: Fetcher) -> None:
    turns = Turns(4, 4)
    slow = [askers(fetcher, f"slow{number}", 1, is_slow=True)[0] for number in range(6)]
    good = askers(fetcher, "good", 2)
    waiting(turns, *slow, *good)
    assert begun(turns) == [*slow[:2], *good]


def test_a_source_has_one_turn_at_a_time(fetcher: Fetcher) -> None:
    turns = Turns(4, 4)
    [one] = askers(fetcher, "good", 1)
    waiting(turns, one)
    assert begun(turns) == [one]
    turns.wait(one, 1.0)
    assert begun(turns) == []
    turns.end(one)
    assert begun(turns) == [one]


def test_who_is_asked_no_more_waits_no_more(fetcher: Fetcher) -> None:
    turns = Turns(4, 4)
    [one] = askers(fetcher, "good", 1)
    waiting(turns, one)
    turns.leave(one)
    assert begun(turns) == []


def test_nothing_is_remembered_of_a_host_that_nobody_is_at(fetcher: Fetcher) -> None:
    turns = Turns(4, 4)
    [one] = askers(fetcher, "good", 1)
    waiting(turns, one)
    begun(turns)
    turns.end(one)
    assert not turns._by_host
