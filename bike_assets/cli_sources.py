"""`bike sources`: the systems to poll, and the catalogue of those that there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bike_assets.terminal import AsJson, SourcesFile, err, out, print_json, print_rows, safe_text, settings_of

if TYPE_CHECKING:
    from bike_assets.sources.findings import Checked

SHOWN = 25
"""So many systems of the catalogue are shown where nobody asks for more."""

REASONS = 3
"""So many reasons of rejected rows are shown for a system, the most frequent first."""

sources_app = typer.Typer(help="The systems to poll, and the catalogue of all that there are.", no_args_is_help=True)


@sources_app.command("find")
def find(
    words: Annotated[list[str] | None, typer.Argument(help="Of the name, the place or the system_id.")] = None,
    country: Annotated[str | None, typer.Option(help="Two letters, as BE.")] = None,
    city: Annotated[str | None, typer.Option(help="A part of the place.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help=f"So many at most; {SHOWN}, and all with --json.")] = None,
    sources: SourcesFile = None,
    as_json: AsJson = False,
) -> None:
    """Search the public catalogue of GBFS systems, which comes with bike_assets; case and accents do not matter.

    Examples: `bike sources find oslo`, `bike sources find --country BE --city bruss`.
    """
    from bike_assets.local.sources import find_systems

    found = find_systems(settings_of(sources=sources), words or [], country, city)
    if as_json:
        print_json(found[:limit])
        return
    shown = found[: limit or SHOWN]
    rows = []
    for each in shown:
        remark = "in your file" if each["is_in_sources"] else "needs a key" if each["needs_authentication"] else ""
        place = f"{each['location']}, {each['country']}"
        rows.append([*map(escape, (each["system_id"], each["name"], place, each["url"])), remark])
    if rows:
        print_rows(("system_id", "name", "place", "gbfs.json", "remark"), rows, are_named=True)
    more = len(found) - len(shown)
    out.print(f"{more} more: give another word, or --limit." if more else f"{len(found)} found.", highlight=False)


@sources_app.command("add")
def add(
    systems: Annotated[list[str], typer.Argument(help="Their system_ids in the catalogue, or `jcdecaux:<contract>`.")],
    sources: SourcesFile = None,
    as_json: AsJson = False,
) -> None:
    """Put systems of the catalogue into the sources file, all or none; what is in it stays as it is.

    A poller that runs takes them up within seconds. A contract of JCDecaux needs BIKE_JCDECAUX_KEY.

    Examples: `bike sources add oslobysykkel bruxelles`, `bike sources add jcdecaux:lyon`.
    """
    from bike_assets.local.sources import add_systems

    settings = settings_of(sources=sources)
    added = add_systems(settings, systems)
    if as_json:
        print_json(added)
        return
    for each in added:
        out.print(f"{escape(each['system_id'])} is in {escape(str(settings.sources))} now.", soft_wrap=True)


@sources_app.command("check")
def check(
    systems: Annotated[list[str] | None, typer.Argument(help="system_ids, URLs of gbfs.json; else all.")] = None,
    sources: SourcesFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask each feed once, commit nothing, and say what it is, in which newer version it can be had, and what is wrong
    with it.

    Systems of the sources file, of the catalogue, or by their URL. Of a system that is polled it says too what its
    feeds answer otherwise than in the last week. Usable is what a poll of it would make good, with a station in it;
    exit status 1 where one is not.

    Examples: `bike sources check`, `bike sources check oslobysykkel https://example.org/gbfs.json`.
    """
    from rich.progress import Progress

    from bike_assets.local.checking import check_sources, wanted

    settings = settings_of(sources=sources)
    asked = wanted(settings, systems or [])
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("asked", total=len(asked))
        found = check_sources(settings, asked, lambda: progress.advance(task))
    unusable = sum(not each.is_usable for each in found)
    if as_json:
        print_json(found)
    else:
        _print_checked(found)
        out.print(f"{len(found)} checked, {unusable} of them not usable.", highlight=False)
    if unusable:
        raise typer.Exit(1)


@sources_app.command("list")
def list_(sources: SourcesFile = None, as_json: AsJson = False) -> None:
    """The systems of the sources file, with the seconds between their polls.

    Example: `bike sources list`.
    """
    from bike_assets.local.sources import list_systems

    found = list_systems(settings_of(sources=sources))
    if as_json:
        print_json(found)
        return
    rows = []
    for each in found:
        asked = f"{each['url']}, with others" if each["is_shared"] else each["url"]
        place = ", ".join(filter(None, (each["city"], each["country"])))
        row = each["system_id"], f"{each['poll_seconds']} s", asked, each["name"] or "", place
        rows.append([*map(escape, row)])
    print_rows(("system_id", "every", "asked at", "name", "place"), rows, are_named=True)


def _print_checked(found: "Sequence[Checked]") -> None:
    rows = []
    for each in found:
        reasons = [f"{count} rejected: {reason}" for reason, count in list(each.reasons.items())[:REASONS]]
        lines = [
            "[green]usable[/]" if each.is_usable else "[red]not usable[/]",
            *(f"[red]{escape(safe_text(fault))}[/]" for fault in each.faults),
            *(f"[yellow]{escape(safe_text(remark))}[/]" for remark in [*each.remarks, *reasons]),
            escape(safe_text(", ".join(each.feeds))),
        ]
        ttl = "" if each.ttl_s is None else f"{each.ttl_s} s"
        counts = str(each.stations), str(each.rejected), _age(each.age_s), ttl
        version = escape(safe_text(each.version or ""))
        rows.append([escape(each.system_id), version, *counts, "\n".join(filter(None, lines))])
    columns = ("system_id", "version", "stations", "rejected", "age", "ttl", "what it has, and what is wrong")
    print_rows(columns, rows, are_named=True)


def _age(seconds: float | None) -> str:
    """An age in the unit that a person would take; that of a clock ahead of ours is negative."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
