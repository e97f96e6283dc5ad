"""What a feed does wrong over several polls: it stands still, goes back, is empty, or gives a station's id to another.

As in `test_faults`: over HTTP, through all that the poller does, at simulated instants.
"""

from functools import cache
from typing import Any

import pytest

from bike_assets.model import topics
from bike_assets.model.constants import JUMPED_M
from bike_assets_tests.ingest.rounds import ALL_CONTRACTS, GBFS, KINDS, TOWN, Rounds, rounds

STATUS, INFORMATION = "station_status", "station_information"
METRES_A_DEGREE = 111_195


def outcomes(both: Rounds, times: int, minutes: int) -> list[str]:
    """Of polls of the status so far apart, each after a ride that the feed may or may not tell."""
    found = []
    for _ in range(times):
        both.ride()
        found.append(str(both.poll(minutes=minutes)[STATUS].outcome))
    return found


def kinds_now(both: Rounds) -> set[str]:
    """Kinds of the events of the last poll."""
    return {kind for at, _, kind in both.events() if at == both.at}


def advance(both: Rounds) -> None:
    """Two good polls, between which the feed's own time moves on."""
    assert outcomes(both, 2, 11) == ["ok", "ok"]
    assert both.town().feed_has_advanced


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_body_is_believed_for_half_an_hour_and_then_stale(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rounds(kind, monkeypatch) as both:
        advance(both)
        both.fault("frozen")
        assert outcomes(both, 2, 20) == ["ok", "not_modified"]
        known, events = both.readings(), both.events()
        found = [both.poll(minutes=20)[STATUS] for _ in range(3)]
        assert [str(poll.outcome) for poll in found] == ["stale"] * 3
        assert all("its own time stands still at 2026-03-03T05:" in (poll.error or "") for poll in found)
        assert [(poll.events, poll.stations) for poll in found] == [(0, None)] * 3, "not even a keyframe, at seven"
        assert (both.readings(), both.events()) == (known, events)
        both.fault(None)
        assert str(both.poll(minutes=20)[STATUS].outcome) == "ok"
        assert both.readings() == both.true_readings() != known
        assert kinds_now(both) == {"change", "keyframe"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_body_is_stale_too_where_it_is_sent_anew_each_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rounds(kind, monkeypatch) as both:
        advance(both)
        both.fault("frozen")
        found = []
        for _ in range(4):
            for asker in both.askers:
                asker._etags.clear()
            found.append(str(both.poll(minutes=20)[STATUS].outcome))
        assert found == ["ok", "ok", "stale", "stale"]


def test_a_body_that_stood_still_from_the_first_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time says nothing: whether it ever moves on is not known."""
    with rounds(GBFS, monkeypatch) as both:
        both.fault("frozen")
        assert outcomes(both, 5, 31) == ["ok", *["not_modified"] * 4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_older_than_the_last_is_stale_and_moves_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rounds(kind, monkeypatch) as both:
        advance(both)
        known, events, updated_at = both.readings(), both.events(), both.town().feed_updated_at
        both.fault("older")
        both.ride()
        polls = [both.poll(minutes=1)[STATUS] for _ in range(2)]
        assert [str(poll.outcome) for poll in polls] == ["stale"] * 2
        assert all((poll.error or "").startswith("older than the body before it (2026-03-03T05:") for poll in polls)
        assert [(poll.rows_in, poll.rows_accepted, poll.rows_rejected) for poll in polls] == [(4, 4, 0)] * 2
        assert (both.readings(), both.events(), both.town().feed_updated_at) == (known, events, updated_at)
        both.fault(None)
        assert str(both.poll(minutes=1)[STATUS].outcome) == "ok"
        assert both.readings() == both.true_readings() != known


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_station_list_for_an_hour_is_no_absence_of_all_stations(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rounds(kind, monkeypatch) as both:
        advance(both)
        known, events, described = both.readings(), both.events(), both.town().descriptions
        both.fault("empty")
        both.ride()
        for _ in range(6):
            poll = both.poll(minutes=10)[STATUS]
            assert (str(poll.outcome), poll.error) == ("invalid", "no accepted row where stations are known")
            assert (poll.rows_in, poll.rows_rejected, poll.events, poll.stations) == (0, 0, 0, None)
        assert (both.readings(), both.events(), both.town().absent) == (known, events, set())
        assert both.town().descriptions == described
        both.fault(None)
        assert str(both.poll(minutes=10)[STATUS].outcome) == "ok"
        assert both.readings() == both.true_readings()
        assert kinds_now(both) == {"change", "keyframe"}
        for row in both.kafka.rows(topics.STATION_STATUS):
            if (row["system_id"], row["observed_at"]) == (TOWN, both.at):
                assert row["bikes_before"] == known[row["station_id"]].bikes_available


@pytest.mark.parametrize("kind", KINDS)
def test_a_station_id_used_again_300_km_away_is_described_anew_once_and_goes_on(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`jumped` in `station_quality` is found by these descriptions; a reading says nothing of a place."""
    with rounds(kind, monkeypatch) as both:
        both.poll(minutes=1)
        both.fault("moved_300_km")
        both.poll(minutes=1)
        moved_at = both.at
        both.ride()
        both.poll(minutes=1)
        assert both.readings() == both.true_readings()
        assert both.town().absent == set()
    told = [row for row in both.kafka.rows(topics.STATION_INFORMATION)
            if (row["system_id"], row["station_id"]) == (TOWN, "1")]  # fmt: skip
    assert [row["observed_at"] for row in told][1:] == [moved_at]
    metres = (told[1]["lat"] - told[0]["lat"]) * METRES_A_DEGREE
    assert metres == pytest.approx(300_000, rel=0.01)
    assert metres > JUMPED_M
    assert (told[1]["lon"], told[1]["name"]) == (told[0]["lon"], told[0]["name"])


def hours_beside(kind: str, fault: str | None) -> list[tuple[str, str, Any]]:
    """What the other system has after two hours, for one of which the town had a fault; each row of the town's polls
    is accounted for.
    """
    with pytest.MonkeyPatch.context() as patch, rounds(kind, patch) as both:
        for name, times in ((None, 3), (fault, 6), (None, 2)):
            both.fault(name)
            for _ in range(times):
                both.ride()
                polls = both.poll(minutes=11).values()
                assert all(poll.rows_in == poll.rows_accepted + poll.rows_rejected for poll in polls)
        assert both.readings() == both.true_readings()
        return both.of_village()


@cache
def undisturbed(kind: str) -> list[tuple[str, str, Any]]:
    return hours_beside(kind, None)


# A body that stands still is that of all who share it.
OF_ONE = [(fault, kind) for fault in ("frozen", "older", "empty", "moved_300_km") for kind in (*KINDS, ALL_CONTRACTS)
          if (fault, kind) != ("frozen", ALL_CONTRACTS)]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind"), OF_ONE)
def test_what_a_town_does_wrong_for_an_hour_is_no_trouble_of_the_village(fault: str, kind: str) -> None:
    assert hours_beside(kind, fault) == undisturbed(kind)
