"""What is wrong with the services, by their heartbeats."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, Trouble
from bike_assets.heartbeats import FIRST_BEAT_S, FRESH_S, ORDERS, POLLER, SINKS, STREAM, Heartbeat
from bike_assets.sources.redaction import redact_text

WATCHED = (POLLER, STREAM, ORDERS, *SINKS)
FAILURES = 3
"""A query that failed so often in a row is not coming back by itself soon."""

BEHIND = timedelta(minutes=5)
"""The stream is a few seconds behind; so far only in a great replay, or where it can do no more."""

STEADY = timedelta(minutes=2)
"""For so long a service must have been at work without a new start before what was wrong is over."""

UNWRITTEN = timedelta(minutes=2)
"""Kafka takes what was polled within a second; so long only where it is down."""


def watch(
    desk: Desk, service: str, beat: Heartbeat | None, now: datetime, starting_since: datetime | None = None
) -> None:
    """Take down what a service's last heartbeat says; None where it ended in order, or never beat.

    `starting_since`: since when it is to come to a first heartbeat, where it was started and has not.
    """
    key = f"service/{service}"
    if beat is None and starting_since is not None:
        if (now - starting_since).total_seconds() > FIRST_BEAT_S:
            started = f"{starting_since:%Y-%m-%d %H:%M:%S} UTC"
            says = f"The {service} was started at {started} and gave no sign of life since; its log says why."
            desk.begin(Trouble(key, says, starting_since))
        return
    if beat is None:
        desk.end_where(lambda each: _is_of(key, each), f"The {service} was ended in order.")
        return
    age = beat.age_s(now)
    if age > FRESH_S:
        # What was wrong within it, nobody knows until it is back.
        says = f"The {service} is dead or hangs: its last sign of life came {age:.0f} s ago."
        desk.begin(Trouble(key, says, beat.at))
        return
    if beat.after is not None:
        says = f"The {service} died, or hung and was killed; its last sign of life came at {beat.after:%H:%M:%S} UTC."
        desk.begin(Trouble(key, says, beat.after))
    wrong = {each.key: each for each in _within(beat, now)}
    if beat.began_at is None or now - beat.began_at >= STEADY:
        desk.end_where(lambda each: _is_of(key, each) and each not in wrong, f"The {service} is at work.")
    for each in wrong.values():
        desk.begin(each)


def _is_of(key: str, each: str) -> bool:
    return each == key or each.startswith(f"{key}/")


def _within(beat: Heartbeat, now: datetime) -> Iterator[Trouble]:
    """What a service that lives says is wrong."""
    if beat.service == STREAM:
        for name, query in beat.details.get("queries", {}).items():
            if query["state"] != "running" and query["failures"] >= FAILURES:
                says = f"The stream's query {name} failed {query['failures']} times: {redact_text(query['reason'])}"
                yield Trouble(f"service/stream/{name}", says, now)
        behind = lag_s(beat, now)
        if behind is not None and behind > BEHIND.total_seconds():
            waiting = beat.details["lag"]["messages"]
            says = f"The stream is {behind:.0f} s behind: {waiting} messages wait in the topics."
            yield Trouble("service/stream/lag", says, now, Severity.WARNING)
    elif beat.service == POLLER:
        waits = longest_wait_s(beat.details.get("lanes", ()), now)
        if waits > UNWRITTEN.total_seconds():
            queued = sum(lane["queued"] for lane in beat.details["lanes"])
            says = f"The poller wrote nothing to Kafka for {waits:.0f} s: {queued} answers wait."
            yield Trouble("service/poller/lag", says, now)
    elif beat.service == ORDERS:
        troubled = _age_s(beat.details.get("trouble_since"), now)
        if troubled is not None and troubled > UNWRITTEN.total_seconds():
            says = f"Orders cannot be stored for {troubled:.0f} s: {redact_text(beat.details['trouble'])}"
            yield Trouble("service/orders/lag", says, now)
    elif beat.service in SINKS:
        yield from _behind_database(beat, now)


def _behind_database(beat: Heartbeat, now: datetime) -> Iterator[Trouble]:
    """What keeps a sink from a database; one that never reached it since its start is not waited for."""
    trouble, behind = beat.details.get("trouble"), _age_s(beat.details.get("caught_up_at"), now)
    if behind is None and trouble is None:
        return
    if behind is None or behind > BEHIND.total_seconds():
        age = "since its start" if behind is None else f"for {behind:.0f} s"
        reason = redact_text(trouble) if trouble else "it is at work on what waits."
        says = f"The {beat.service} has not brought its database up to date {age}: {reason}"
        yield Trouble(f"service/{beat.service}/lag", says, now, Severity.WARNING)


def figures(beat: Heartbeat, now: datetime) -> dict[str, float]:
    """How a service is, in numbers to be plotted."""
    found: dict[str, float] = {"heartbeat_age_s": round(beat.age_s(now), 1)}
    if beat.service == POLLER:
        lanes = beat.details.get("lanes", ())
        found["lag_s"] = round(longest_wait_s(lanes, now), 1)
        found["answers_waiting"] = sum(lane["queued"] for lane in lanes)
        found["quiet_systems"] = len(beat.details.get("quiet", ()))
        return found
    if beat.service == ORDERS:
        return found | {"orders_waiting": beat.details.get("waiting", 0)}
    if beat.service in SINKS:
        behind, waiting = _age_s(beat.details.get("caught_up_at"), now), beat.details.get("behind")
        told = {"lag_s": None if behind is None else round(behind, 1), "rows_waiting": waiting}
        return found | {name: each for name, each in told.items() if each is not None}
    behind, messages = lag_s(beat, now), (beat.details.get("lag") or {}).get("messages")
    if behind is not None:
        found["lag_s"] = round(behind, 1)
    if messages is not None:
        found["lag_messages"] = messages
    return found


def lag_s(beat: Heartbeat, now: datetime) -> float | None:
    """For how long the stream has not held all that the topics hold; None where it does not know."""
    return _age_s((beat.details.get("lag") or {}).get("caught_up_at"), now)


def _age_s(instant: str | None, now: datetime) -> float | None:
    return None if instant is None else (now - datetime.fromisoformat(instant)).total_seconds()


def longest_wait_s(lanes: Iterable[Mapping[str, Any]], now: datetime) -> float:
    """For how long the lane that waits longest has had answers to write and wrote none."""
    waits = [
        (now - datetime.fromisoformat(lane["waits_since"])).total_seconds()
        for lane in lanes
        if lane.get("waits_since") is not None
    ]
    return max(waits, default=0.0)
