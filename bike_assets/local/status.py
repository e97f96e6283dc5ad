"""What runs in this home, as its heartbeats and its supervisor say."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bike_assets import heartbeats, services
from bike_assets.alerts.incidents import read_book
from bike_assets.heartbeats import BEATING, FRESH_S, Heartbeat, read_heartbeat, starting_since
from bike_assets.lake.rejections import counted
from bike_assets.local.supervision import Supervision
from bike_assets.model.errors import LakeBroken, ServiceNotReady
from bike_assets.settings import Settings

SHOWN = 5
"""So many failing feeds are named."""

REJECTIONS_OF = timedelta(hours=24)


def status(settings: Settings) -> dict[str, Any]:
    """Each service with its state and what its heartbeat says."""
    states = Supervision(settings.home).states()
    # Nobody misses a sink that no setting asks for.
    unwanted = {name for name, database in services.sink_databases(settings).items()
                if database is None and read_heartbeat(settings.run, name) is None}  # fmt: skip
    names = sorted({*(states or {}), *BEATING} - unwanted)
    found = [_service(settings, name, (states or {}).get(name)) for name in names]
    summary = (
        f"page {settings.page_url}  Dagster {settings.dagster_ui}"
        if states
        else "Nothing supervised runs here; `bike up` starts everything."
    )
    return {"home": str(settings.home), "is_up": states is not None, "services": found,
            "half_replaced": services.half_replaced(settings),
            "incidents": _incidents(settings), "rejections": _rejections(settings),
            "databases": [_database(settings, name) for name in settings.databases], "members": _members(settings),
            "summary": summary}  # fmt: skip


def _database(settings: Settings, name: str) -> dict[str, Any]:
    """How far a database is behind the lake, by what the last export saw of it: it is not asked."""
    from bike_assets.exports.notes import lag_of, read_note

    note = read_note(settings.export_note(name))
    if note is None:
        return {"name": name, "days_behind": None, "oldest_behind": None, "says": "nothing was exported into it yet"}
    behind = lag_of(settings.lake, note)
    told = f"{behind.days} days behind, the oldest {behind.oldest}" if behind.days else "has all days"
    last = f"last export at {note.at:%Y-%m-%d %H:%M:%S} UTC" + (f" failed: {note.error}" if note.error else "")
    return {"name": name, "days_behind": behind.days, "oldest_behind": behind.oldest, "says": f"{told}; {last}"}


def _incidents(settings: Settings) -> list[dict[str, str]]:
    """What is wrong, as Dagster's sensors saw it last, the newest first."""
    found = [trouble for path in settings.incidents.glob("*.json") for trouble in read_book(path).open.values()]
    return [
        {"since": each.since.isoformat(timespec="seconds"), "severity": each.severity, "says": each.says}
        for each in sorted(found, key=lambda each: each.since, reverse=True)
    ]


def _rejections(settings: Settings) -> list[dict[str, Any]]:
    """What was refused in the last REJECTIONS_OF, by system and reason; where it cannot be read, the reason of that."""
    try:
        found = counted(settings.lake, datetime.now(UTC) - REJECTIONS_OF)
    except LakeBroken as err:
        return [{"system_id": None, "reason": str(err), "rows": None}]
    return [
        {"system_id": system_id, "reason": reason, "rows": rows}
        for system_id, reasons in found.items() for reason, rows in reasons.items()
    ]  # fmt: skip


def refuse_silent(settings: Settings, names: list[str]) -> None:
    """Raise ServiceNotReady for the first of these services that has no fresh heartbeat."""
    for name in names:
        if name not in BEATING:
            raise ServiceNotReady(f"{name} has no heartbeat: {', '.join(BEATING)} have.")
        beat = read_heartbeat(settings.run, name)
        if beat is None or beat.age_s(datetime.now(UTC)) > FRESH_S:
            said = "has never beaten" if beat is None else f"last beat at {beat.at:%Y-%m-%d %H:%M:%S} UTC"
            raise ServiceNotReady(f"{name} {said} in {settings.home}: it is down, or hangs.")


def _service(settings: Settings, name: str, state: str | None) -> dict[str, Any]:
    beat = read_heartbeat(settings.run, name) if name in BEATING else None
    since = starting_since(settings.run, name) if beat is None else None
    no_beat = "" if since is None else f"no sign of life since its start at {since:%Y-%m-%d %H:%M:%S} UTC"
    return {
        "name": name,
        "state": (state or "not supervised").lower(),
        "heartbeat_age_s": None if beat is None else round(beat.age_s(datetime.now(UTC)), 1),
        "says": no_beat if beat is None else _says(beat),
    }


def _says(beat: Heartbeat) -> str:
    match beat.service:
        case heartbeats.POLLER:
            lanes = beat.details.get("lanes", [])
            outcomes: dict[str, int] = {}
            for lane in lanes:
                for outcome, count in lane["polls"].items():
                    outcomes[outcome] = outcomes.get(outcome, 0) + count
            polls = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "none yet"
            failing = {name: error for lane in lanes for name, error in lane.get("failing", {}).items()}
            says = [f"{beat.details.get('systems', 0)} systems{_share(beat.details)}", f"polls: {polls}"]
            lost = sum(lane.get("unreadable", 0) for lane in lanes)
            says += [f"{lost} messages of what is remembered could not be read, see its log"] if lost else []
            return "; ".join([*_sources(beat.details.get("sources_trouble")), *says, *_failing(failing)])
        case heartbeats.STREAM:
            queries = [f"{name} {_query(each)}" for name, each in beat.details.get("queries", {}).items()]
            return "; ".join([_behind(beat.details.get("lag", {})), *queries])
        case heartbeats.ORDERS:
            stored, trouble = beat.details["rows"]["topics/orders"], beat.details["trouble"]
            return f"{stored} orders stored, {beat.details['waiting']} wait" + (f"; {trouble}" if trouble else "")
        case heartbeats.MEMBERS_SINK:
            return _cassandra_sink("members", beat.details)
        case heartbeats.ORDERS_SINK:
            return _cassandra_sink("orders", beat.details)
        case heartbeats.SALES_SINK:
            at, trouble = beat.details["caught_up_at"], beat.details["trouble"]
            age = f"as the lake's were {_age_s(at):.0f} s ago" if at else "not there yet"
            return f"the database's sales are {age}" + (f"; {trouble}" if trouble else "")
        case _:
            return ""


def _cassandra_sink(what: str, details: Mapping[str, Any]) -> str:
    at, behind, trouble = details["caught_up_at"], details["behind"], details["trouble"]
    age = f"has the {what} of {_age_s(at):.0f} s ago" if at else "not there yet"
    waiting = "how many wait is not known" if behind is None else f"{behind} wait"
    return f"Cassandra {age}, {waiting}" + (f"; {trouble}" if trouble else "")


def _members(settings: Settings) -> dict[str, Any] | None:
    """What the last poll of the members API gave, as numbers; None where none was asked."""
    if not settings.members_note.exists():
        return None
    last: dict[str, Any] = json.loads(settings.members_note.read_text())
    counts = f"{last['members']} members, {last['forgotten']} forgotten"
    polled = f"last asked {_age_s(last['at']):.0f} s ago: {last['created']} new, {last['rejected']} refused"
    failed = f"; {last['error']}" if last["error"] else "" if last["is_at_end"] else "; more pages are to come"
    return {**last, "says": f"{counts}; {polled}{failed}"}


def _age_s(instant: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds()


def _share(details: Mapping[str, Any]) -> str:
    """Which partitions the poller has, where others may have the rest, and how many of its sources are down."""
    has, every, down = details.get("partitions", []), details.get("of_partitions", 0), details.get("down", 0)
    told = f" in partitions {', '.join(map(str, has)) or 'none'} of {every}" if every else ""
    return f"{told}, {down} down and asked less often" if down else told


def _sources(trouble: str | None) -> Iterator[str]:
    """What keeps a change of the sources file from being taken up."""
    if trouble is not None:
        yield f"the sources file is wrong, and its systems are polled as before: {trouble.removesuffix('.')}"


def _failing(failing: dict[str, str]) -> Iterator[str]:
    """The feeds whose last answer was not good."""
    for name, error in sorted(failing.items())[:SHOWN]:
        yield f"{name} fails: {error}"
    if len(failing) > SHOWN:
        yield f"{len(failing) - SHOWN} more feeds fail"


def _behind(lag: dict[str, Any]) -> str:
    if lag.get("messages") is None:
        return "how far behind is not known"
    caught_up = datetime.fromisoformat(lag["caught_up_at"])
    up_to = "all in the tables up to" if lag.get("has_caught_up", True) else "it has not caught up since its start at"
    return f"{lag['messages']} messages behind, {up_to} {caught_up:%H:%M:%S} UTC"


def _query(query: dict[str, Any]) -> str:
    if query["state"] != "running":
        return f"{query['state']}: {query.get('reason')}"
    return f"last batch {query.get('rows', 0)} rows in {query.get('seconds', 0)} s"
