"""`bike rejections`: rows and bodies that were refused, and their way back once the parser is mended."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from bike_assets.terminal import AsJson, err, out, print_json, print_rows, safe_text, settings_of

SHOWN = 20
"""So many rows are shown where nobody asks for more."""

EXAMPLE = 120
"""So many characters of an example are shown in a list; `show` has all that is kept."""

Feed = Annotated[str | None, typer.Option("--feed", help="station_status, station_information, ...")]
Since = Annotated[str | None, typer.Option("--since", help="A day or a time of UTC, as 2026-11-20T10:30.")]

rejections_app = typer.Typer(help="Refused rows and bodies: look at them, and bring them back.", no_args_is_help=True)


@rejections_app.command("list")
def list_(
    system: Annotated[str | None, typer.Option("--system", help="A system_id.")] = None,
    feed: Feed = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """What was refused, counted by system, feed and reason, with the newest of each as an example.

    Examples: `bike rejections list`, `bike rejections list --system oslobysykkel --since 2026-11-20`.
    """
    from bike_assets.local.rejections import list_rejections

    found = list_rejections(settings_of(), system, feed, since)
    if as_json:
        print_json(found)
        return
    rows = []
    for each in found:
        example = safe_text(each["example"][:EXAMPLE]) + ("..." if len(each["example"]) > EXAMPLE else "")
        texts = safe_text(each["system_id"]), safe_text(each["feed"]), safe_text(each["reason"])
        times = _time(each["first_at"]), _time(each["last_at"])
        rows.append([*map(escape, texts), str(each["rows"]), *times, escape(example)])
    if rows:
        print_rows(("system_id", "feed", "reason", "rows", "first", "last", "example"), rows, are_named=True)
    out.print(f"{sum(each['rows'] for each in found)} refused.", highlight=False)


@rejections_app.command("show")
def show(
    system: Annotated[str, typer.Argument(help="A system_id.")],
    feed: Feed = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """The newest refused rows of a system: their poll, the reason, and what stood there.

    Examples: `bike rejections show oslobysykkel`, `bike rejections show oslobysykkel --feed station_status --json`.
    """
    from bike_assets.local.rejections import show_rejections

    found = show_rejections(settings_of(), system, feed, since, limit)
    if as_json:
        print_json(found)
        return
    for each in found:
        place = "the body" if each["row_index"] < 0 else f"row {each['row_index']}"
        poll = f"{each['outcome']}, {each['rows_rejected']} of {each['rows_in']} rows refused"
        told = poll if each["outcome"] else "no poll"
        out.print(
            f"{_time(each['fetched_at'])} {safe_text(each['feed'])} ({told}), {place}: {safe_text(each['reason'])}\n"
            f"    {safe_text(each['payload'] or '')}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    out.print(f"{len(found)} shown.", highlight=False)


@rejections_app.command("restore")
def restore(
    system: Annotated[str, typer.Argument(help="A system_id.")],
    since: Annotated[str, typer.Option("--from", help="A day or a time of UTC, as 2026-11-20T10:30.")],
    feed: Feed = None,
    raw: Annotated[list[Path] | None, typer.Option("--raw", help="The raw/ of another poller's home, also.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what was refused, after a parser was mended: replay `raw/` from the first poll on that lost something.

    From that poll on, all that topics and tables hold of the system is replaced by what its answers in `raw/` tell
    now; live minutes are computed anew, and days of the warehouse become stale. Refused while a poller or a stream is
    up, and where `raw/` no longer holds that time. Where pollers of several homes had the system in turn, `--raw` gives
    the `raw/` of each other one.

    Examples: `bike rejections restore oslobysykkel --from 2026-11-20`,
    `bike rejections restore oslobysykkel --from 2026-11-20 --raw /mnt/second/raw --raw /mnt/third/raw`.
    """
    from bike_assets.local.rejections import restore as bring_back

    print_replaced(bring_back(settings_of(), system, feed, since, raw or [], err), as_json=as_json)


def print_replaced(done: dict[str, Any], *, as_json: bool) -> None:
    """What a replacement came to, beside what was there before."""
    if as_json:
        print_json(done)
        return
    before, after = done["before"], done["after"]
    systems = done["systems"][0] if len(done["systems"]) == 1 else f"{len(done['systems'])} systems"
    first, last = done["since"][:10], done["until"][:10]
    days = first if first == last else f"{first} {last}"
    out.print(
        f"Replaced since {_time(datetime.fromisoformat(done['since']))}, {systems}: "
        f"{after['polls']} polls (before: {before['polls']}), {after['events']} events ({before['events']}), "
        f"{after['rows_accepted']} rows accepted ({before['rows_accepted']}), "
        f"{after['rows_rejected']} rejected ({before['rows_rejected']}).\n"
        f"Days of the warehouse that were built are built again once a stream and Dagster run, or by "
        f"`bike build {days}`.",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
