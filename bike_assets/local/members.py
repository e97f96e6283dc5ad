"""Members polled once, and a member forgotten everywhere; docs/decisions/0027 says why it goes in these steps."""

import json
import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bike_assets import services
from bike_assets.files import write_whole
from bike_assets.heartbeats import MEMBERS_SINK
from bike_assets.ingest.members.polling import MembersPoll
from bike_assets.ingest.members.writer import MembersWriter, now
from bike_assets.lake.forgotten import TakenOut, has_member, ids_by_email, take_out_members
from bike_assets.local.parts import kafka
from bike_assets.local.work import drain_now
from bike_assets.model.errors import AlreadyRunning, NotForgotten, SinkUnavailable, UnknownMember, WrongSettings
from bike_assets.model.personal import Keyed, member_id
from bike_assets.settings import Settings
from bike_assets.sources.members import page_request
from bike_assets.stream.sinks.users import SETTLED_S, UsersSink, await_settled


def poll_members(settings: Settings) -> dict[str, Any]:
    """Poll the members API to its end; what came of it. Raises WrongSettings without its address or without a key."""
    if settings.members_url is None:
        raise WrongSettings("BIKE_MEMBERS_URL names no members API.")
    url = settings.members_url.get_secret_value()
    keyed, fetcher = services.members_keyed(settings), services.fetcher(settings)
    try:
        with services.members_lock(settings), kafka(settings) as partitions:
            writer = MembersWriter(settings.bootstrap_servers, partitions, keyed)
            done = MembersPoll(writer, keyed, url, lambda page, results: fetcher.fetch(
                page_request(url, page, results), lambda: datetime.now(UTC))).run()  # fmt: skip
            told = {
                "at": now().isoformat(), "pages": done.pages, "rows": done.counts.rows, "created": done.counts.created,
                "known": done.counts.known, "suppressed": done.counts.suppressed, "rejected": done.counts.rejected,
                "is_at_end": done.is_at_end, "error": done.error, "members": len(writer.known.members),
                "forgotten": len(writer.known.forgotten),
            }  # fmt: skip
    finally:
        fetcher.close()
    write_whole(settings.members_note, json.dumps(told).encode())
    return told


def forget(settings: Settings, given_id: str | None, email: str | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Remove a member from Kafka, the lake and Cassandra, and never take them again; what was removed.

    A second time goes on where the first one was broken off. Raises UnknownMember; NotForgotten where something is
    left, and what was done stays done.
    """
    keyed = services.members_keyed(settings)
    wanted = _wanted(keyed, given_id, email)
    with services.members_lock(settings), kafka(settings) as partitions:
        writer = MembersWriter(settings.bootstrap_servers, partitions, keyed)
        writer.open()
        try:
            ids = _found(settings, writer, keyed, wanted)
            asked_at = now()
            writer.forget(ids, asked_at)
            say("Kafka is told; what is on its way into the tables is waited for.")
            drain_now(settings)
            taken = take_out_members(settings.lake, ids)
            say(f"The lake: {taken.rows} rows and {taken.files} files removed.")
            database = _take_out_of_database(settings, ids)
            writer.await_gone(ids)
            say("Kafka: no message is left.")
        finally:
            writer.close()
    told = _record(settings, [keyed.member(each) for each in ids], asked_at, taken, database)
    if database.startswith("not yet"):
        raise NotForgotten(
            f"Forgotten but for Cassandra, {database}: the members' sink removes them once it can. "
            "The same command, by the id, then proves it."
        )
    return told


class Wanted(NamedTuple):
    """Whom it is about: by the id, or by the hash of the address."""

    member_id: str | None
    email_hash: str | None


def _wanted(keyed: Keyed, given_id: str | None, email: str | None) -> Wanted:
    """Raises UnknownMember, without repeating what was given."""
    try:
        return Wanted(None if given_id is None else member_id(given_id), None if email is None else keyed.email(email))
    except ValueError:
        raise UnknownMember("That is no member's id, or no address.") from None


def _found(settings: Settings, writer: MembersWriter, keyed: Keyed, wanted: Wanted) -> list[str]:
    """Their ids. Raises UnknownMember, without repeating what was given."""
    if wanted.member_id is not None:
        key, known = keyed.member(wanted.member_id), writer.known
        if key in known.members | known.forgotten or has_member(settings.lake, wanted.member_id):
            return [wanted.member_id]
    elif wanted.email_hash is not None:
        ids = writer.ids_by_email(wanted.email_hash) | ids_by_email(settings.lake, wanted.email_hash)
        if ids:
            return sorted(ids)
    raise UnknownMember(
        "No member is known by that, in Kafka or in events.users. One who is already forgotten is found by id only."
    )


def _take_out_of_database(settings: Settings, ids: list[str]) -> str:
    sink = services.members_sink(settings)
    if sink is None:
        return "none named"
    try:
        return take_out_of_database(settings, sink, ids)
    except SinkUnavailable as err:
        return f"not yet ({err})"
    finally:
        sink.close()


def take_out_of_database(settings: Settings, sink: UsersSink, ids: Collection[str], wait_s: float = SETTLED_S) -> str:
    """Remove them there, and say whether they are gone for good. Raises SinkUnavailable.

    The members' sink may be bringing rows that it read before they were taken out of the table. Where it is at work, it
    has to note that it has seen that; where it is not, it is kept from starting meanwhile.
    """
    try:
        with services.sink_lock(settings, MEMBERS_SINK, "The members' sink is at work"):
            sink.remove(ids)
            is_settled = True
    except AlreadyRunning:
        sink.remove(ids)
        is_settled = await_settled(settings.lake, sink, wait_s)
    if is_settled and not sink.ids(lambda: None) & set(ids):
        return "removed"
    return f"not yet (the members' sink has not come past it within {wait_s:g} s)"


def _record(
    settings: Settings, keys: list[str], asked_at: datetime, taken: TakenOut, database: str
) -> dict[str, Any]:
    """Note what was done, of whom only the keyed hashes."""
    told = {
        "asked_at": asked_at.isoformat(), "done_at": now().isoformat(), "member_keys": keys, "rows": taken.rows,
        "files": taken.files, "kafka": "no message left", "cassandra": database.partition(" (")[0],
    }  # fmt: skip
    descriptor = os.open(settings.forgotten, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(told) + "\n")
    return told
