"""`bike`: the command line. Every command loads only what it needs, so that help is there at once."""

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.markup import escape
from rich.table import Column, Table

from bike_assets.cli_exports import exports_app
from bike_assets.cli_members import members_app
from bike_assets.cli_rejections import print_replaced, rejections_app
from bike_assets.cli_sources import sources_app
from bike_assets.model.errors import BikeAssetsError, SomethingMissing, WrongSettings
from bike_assets.model.messages import GOOD
from bike_assets.settings import Settings
from bike_assets.terminal import AsJson, SourcesFile, err, out, print_json, print_rows, safe_text, settings_of

if TYPE_CHECKING:
    from bike_assets.local.report import Report

app = typer.Typer(
    name="bike",
    help="Bike-share feeds through Kafka, Spark and Delta Lake, under Dagster.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
services_app = typer.Typer(help="One service in the foreground, until Ctrl-C.", no_args_is_help=True)
app.add_typer(services_app, name="run")
app.add_typer(sources_app, name="sources")
app.add_typer(rejections_app, name="rejections")
app.add_typer(exports_app, name="export")
app.add_typer(members_app, name="members")


def main() -> NoReturn:
    """The entry point: an error of ours is one sentence and its exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, _in_background)
    try:
        status = app(standalone_mode=False)
    except BikeAssetsError as error:
        err.print(f"[bold red]error[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_status)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _is_usage(error):
            raise
        error.show()  # type: ignore[attr-defined]  # click's own way to say what was wrong
        sys.exit(2)
    sys.exit(status or 0)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """An exception, so that a command ends what it started."""
    sys.exit(128 + number)


def _in_background(number: int, frame: FrameType | None) -> None:
    """What a script puts into the background ignores Ctrl-C, and so does this.

    Dagster gives SIGTERM what SIGINT has: were that "ignored", nothing would end by SIGTERM, neither this nor what it
    starts, which inherits what is ignored and not what is handled.
    """
    if number != signal.SIGINT:
        _end(number, frame)


def _is_usage(error: Exception) -> bool:
    return hasattr(error, "show") and hasattr(error, "exit_code")


@app.command()
def setup(as_json: AsJson = False) -> None:
    """Fetch what pip cannot bring: the jars of Spark and Kafka. A second time it fetches nothing."""
    from rich.progress import Progress

    from bike_assets.local.parts import jars, java

    settings = settings_of()
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("jars", total=None)
        found = jars(settings, lambda done, total: progress.update(task, completed=done, total=total))
    if as_json:
        print_json({"java_home": java(settings), "spark_jars": found.spark, "kafka_jars": found.kafka})
        return
    out.print("Java and the jars are there.")


@app.command()
def up(
    demo: Annotated[bool, typer.Option(help="Real recordings, then two simulated cities.")] = False,
    sources: SourcesFile = None,
) -> None:
    """Start everything, supervised, until Ctrl-C.

    Examples: `bike up --demo`, `bike up --sources sources.toml`.
    """
    from bike_assets.local.up import up as start

    settings = settings_of(sources=sources)
    if not demo and not settings.sources.exists():
        raise SomethingMissing(
            f"{settings.sources} does not exist: `bike sources add` makes it; or try `bike up --demo`."
        )
    start(settings, is_demo=demo, console=out)


@app.command()
def down() -> None:
    """Stop what `bike up` started in this home, from another terminal."""
    from bike_assets.local.up import down as stop

    ended = stop(settings_of())
    out.print("Nothing was running." if not ended else f"Stopped ({ended} processes).")


@app.command()
def status(
    service: Annotated[list[str] | None, typer.Argument(help="Services that must have a fresh heartbeat.")] = None,
    as_json: AsJson = False,
) -> None:
    """What runs, how fresh it is, how far behind the stream is, and what was refused in the last 24 hours.

    Exit status 1 where one of the services named has no fresh heartbeat. Examples: `bike status`,
    `bike status poller stream`.
    """
    from bike_assets.local.status import refuse_silent
    from bike_assets.local.status import status as look

    settings = settings_of()
    refuse_silent(settings, service or [])
    found = look(settings)
    if as_json:
        print_json(found)
        return
    short = (Column(name, no_wrap=True) for name in ("service", "state", "heartbeat"))
    table = Table(*short, Column("says", overflow="fold"))
    for each in found["services"]:
        age = "" if each["heartbeat_age_s"] is None else f"{each['heartbeat_age_s']:.0f} s ago"
        table.add_row(each["name"], each["state"], age, escape(safe_text(each["says"])))
    out.print(table)
    if found["half_replaced"]:
        out.print(f"[red]{escape(safe_text(found['half_replaced']))}[/]", highlight=False, soft_wrap=True)
    for each in found["incidents"]:
        out.print(f"[red]{each['severity']}[/] since {each['since']}: {escape(safe_text(each['says']))}")
    for each in found["rejections"]:
        rows = "Refused rows are not known" if each["rows"] is None else (
            f"Refused in 24 h, {safe_text(each['system_id'])}: {each['rows']}"
        )
        out.print(f"[yellow]{escape(rows)}[/] {escape(safe_text(each['reason']))}", highlight=False, soft_wrap=True)
    if found["members"] is not None:
        out.print(f"members: {escape(safe_text(found['members']['says']))}", highlight=False, soft_wrap=True)
    for each in found["databases"]:
        out.print(f"database {each['name']}: {escape(each['says'])}", highlight=False, soft_wrap=True)
    out.print(found["summary"])


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What is missing, and how to get it. Exit status 1 where something is."""
    from bike_assets.local.doctor import examine

    findings = examine()
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]no[/]  "
            out.print(f"{mark}{finding.what}: {escape(finding.says)}", highlight=False, soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def config(as_json: AsJson = False) -> None:
    """The settings in force, and what each is for. Secrets are not shown."""
    settings = settings_of()
    values = settings.model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    folded = (Column(name, overflow="fold") for name in ("value", "what it is"))
    table = Table(Column("setting", no_wrap=True), *folded)
    for name, field in Settings.model_fields.items():
        value = "" if values[name] is None else escape(str(values[name]))
        table.add_row(f"BIKE_{name.upper()}", value, field.description)
    out.print(table)


@app.command()
def poll(systems: Annotated[list[str], typer.Argument(help="Their system_ids.")], as_json: AsJson = False) -> None:
    """Ask systems now and commit what they say, by the running poller or without one.

    Exit status 1 where no answer was good; with `--json` the answers tell.

    Example: `bike poll oslobysykkel`.
    """
    from bike_assets.local.polling import poll_once

    polls = poll_once(settings_of(), systems)
    if as_json:
        print_json(polls)
        return
    for each in polls:
        said = each["error"] or f"{each['rows_accepted']} rows, {each['events']} events"
        out.print(f"{each['system_id']} {each['feed']}: {each['outcome']}, {escape(safe_text(said))}")
    if not any(each["outcome"] in GOOD for each in polls):
        raise typer.Exit(1)


@app.command()
def record(
    systems: Annotated[list[str], typer.Argument(help="Their system_ids.")],
    to: Annotated[Path, typer.Option(help="A new file: .jsonl, .xz, .gz or .zst.")],
    duration: Annotated[str, typer.Option("--for", help="How long: 90s, 10m, 2h, 1d.")],
    as_json: AsJson = False,
) -> None:
    """Keep what systems answer in a file that `bike replay` reads; needs no Kafka, and no key is in it.

    Ctrl-C ends it earlier. Exit status 1 where nothing was answered.

    Example: `bike record oslobysykkel --to monday.jsonl.xz --for 10m`.
    """
    from bike_assets.local.recording import record_systems

    done = record_systems(settings_of(), systems, to, duration, console=err)
    if as_json:
        print_json(done)
        return
    out.print(f"{escape(str(to))}: {done['answers']} answers, {done['failed']} of them failed.", soft_wrap=True)
    if done["failed"] == done["answers"]:
        raise typer.Exit(1)


@app.command()
def replay(
    recording: Annotated[list[Path], typer.Argument(help="Files of answers: .jsonl, .xz, .gz or .zst.")],
    timezone: Annotated[str | None, typer.Option(help="The systems' IANA time zone.")] = None,
    shift_to_now: Annotated[bool, typer.Option(help="Move all times so that it ends now.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Feed recordings through the same path as a poll, with their own times; twice adds nothing.

    With `--replace` they take the place of what topics and tables hold of their systems since their first answers, as
    after a parser was mended; they must go on to the end of it. Refused while a poller is up, with `--replace` while a
    stream is, too.

    Examples: `bike replay monday.jsonl.xz --timezone Europe/Oslo`, `bike replay --replace monday.jsonl.xz`.
    """
    if replace and shift_to_now:
        raise WrongSettings("What is replaced keeps its times: give --replace or --shift-to-now, not both.")
    if replace:
        from bike_assets.local.replacing import replace_files

        print_replaced(replace_files(settings_of(), recording, timezone, console=err), as_json=as_json)
        return
    from bike_assets.local.work import replay_files

    done = replay_files(settings_of(), recording, timezone, shift_to_now=shift_to_now, console=err)
    if as_json:
        print_json(done)
        return
    out.print(
        f"{done['lines']} answers read, {done['written']} polls written with {done['events']} events; "
        f"{done['skipped']} were not newer and skipped; {done['rejected']} rows rejected."
    )


@app.command()
def drain(as_json: AsJson = False) -> None:
    """Bring all that the topics hold now into the tables: by the running stream, or without one."""
    from bike_assets.local.work import drain_now

    done = drain_now(settings_of())
    if as_json:
        print_json(done)
    else:
        out.print(f"Drained by {done['by']} in {done['seconds']} s: {done['messages']} messages.")


@app.command()
def rebuild(
    what: Annotated[Literal["live", "raw"], typer.Argument(help="`live` from the events; all from `raw`'s answers.")],
    as_json: AsJson = False,
) -> None:
    """Make once more what the services write: `live.*` from the events, or all from the answers kept in `raw/`.

    `live` is refused while a stream is up, `raw` while a poller is; what the topics have is not added again.

    Example: `bike rebuild live`.
    """
    from bike_assets.local.rebuild import rebuild_from_raw, rebuild_live

    settings = settings_of()
    done = rebuild_live(settings) if what == "live" else rebuild_from_raw(settings, err)
    if as_json:
        print_json(done)
    else:
        out.print(f"Rebuilt by {done['by']} in {done['seconds']} s.")


@app.command()
def build(
    first: Annotated[str, typer.Argument(help="A day, as 2026-11-20.")],
    last: Annotated[str | None, typer.Argument(help="The last day, where it is a range.")] = None,
    as_json: AsJson = False,
) -> None:
    """Build the warehouse of a day or a range of days, through Dagster; again gives the same.

    Examples: `bike build 2026-11-20`, `bike build 2026-11-01 2026-11-20`.
    """
    from bike_assets.local.build import build_range, found_by, remarks

    steps = build_range(settings_of(), first, last or first, console=err)
    if as_json:
        print_json(steps)
        return
    built = ", ".join(f"{step['what']} {step['rows']}" for step in steps if step["rows"] is not None)
    out.print(f"Built: {built}.")
    for step in steps:
        if step["passed"] is False:
            out.print(f"[yellow]look at[/] {escape(safe_text(found_by(step)))}", highlight=False, soft_wrap=True)
    for sentence in remarks(steps, last or first, datetime.now(UTC).date()):
        out.print(sentence, highlight=False, soft_wrap=True)


@app.command()
def ci(
    recording: Annotated[list[Path], typer.Argument(help="Files of answers: .jsonl, .xz, .gz or .zst.")],
    timezone: Annotated[str | None, typer.Option(help="The systems' IANA time zone.")] = None,
    junit: Annotated[Path | None, typer.Option(help="A file for JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(help="A file for a summary in Markdown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check recordings: replay them into a home that is gone after it, build their days, run every check.

    Exit status 1 where a check at ERROR failed, blocking or not; one at WARN fails nothing.

    Examples: `bike ci monday.jsonl.xz --timezone Europe/Oslo`, `bike ci *.jsonl.zst --junit ci.xml --summary ci.md`.
    """
    from bike_assets.local import report
    from bike_assets.local.ci import run_ci
    from bike_assets.local.files import refuse_unwritable, write_asked

    for file in filter(None, (junit, summary)):
        refuse_unwritable(file)
    found = run_ci(settings_of(), recording, timezone, console=err)
    if junit is not None:
        write_asked(junit, report.junit(found))
    if summary is not None:
        write_asked(summary, report.markdown(found))
    if as_json:
        print_json(report.as_json(found))
    else:
        _print_report(found)
    if not found.is_good:
        raise typer.Exit(1)


@app.command()
def customers(
    most_are_gone: Annotated[
        bool, typer.Option("--most-are-gone", help="Take a list that lacks more than half of the customers it had.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the customers of the orders to what their list says now; again changes nothing."""
    from bike_assets.services import bring_customers

    rows = bring_customers(settings_of(), may_lose_most=most_are_gone)
    if as_json:
        print_json({"rows": rows})
    else:
        out.print(f"warehouse.dim_customer has {rows} rows.")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A question in DuckDB's SQL.")], as_json: AsJson = False
) -> None:
    """Ask the tables, read-only. Times are UTC.

    Example: `bike sql "from live.system_minute order by minute desc limit 5"`.
    """
    from bike_assets.lake.duck import ask, not_made

    lake = settings_of().lake
    answer = ask(lake, query)
    for sentence in not_made(lake, query):
        err.print(sentence, highlight=False, soft_wrap=True)
    if as_json:
        print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
        return
    texts = [["" if value is None else escape(str(value)) for value in row] for row in answer.rows]
    print_rows(answer.columns, texts)
    out.print(f"{len(answer.rows)} rows")


def _starting(service: str) -> Settings:
    """The settings, once it is noted that this service is to give a sign of life soon."""
    from bike_assets.heartbeats import note_start

    settings = settings_of()
    note_start(settings.run, service)
    return settings


@services_app.command("broker")
def run_broker() -> None:
    """The local Kafka broker."""
    from bike_assets.local import broker, parts

    settings = settings_of()
    java = parts.java(settings)
    ports = settings.kafka_port, settings.kafka_controller_port
    broker.run_broker(settings.home, java, parts.jars(settings).kafka, *ports)


@services_app.command("poller")
def run_poller() -> None:
    """The poller of the systems in the sources file."""
    from bike_assets import services
    from bike_assets.local.parts import existing_kafka, register_schemas

    settings = _starting("poller")
    partitions = existing_kafka(settings)
    register_schemas(settings)
    services.run_poller(settings, partitions)


@services_app.command("stream")
def run_stream() -> None:
    """The resident Spark job."""
    from bike_assets import services
    from bike_assets.local.parts import existing_kafka, spark_home

    settings = _starting("stream")
    existing_kafka(settings)
    services.run_stream(settings, spark_home(settings))


@services_app.command("page")
def run_page() -> None:
    """The live page."""
    from bike_assets import services

    services.run_page(_starting("page"))


@services_app.command("orders")
def run_orders() -> None:
    """The service that takes orders: `POST /orders`, described at /docs."""
    from bike_assets import services
    from bike_assets.local.parts import existing_kafka

    settings = _starting("orders")
    services.run_orders(settings, existing_kafka(settings))


@services_app.command("sales-sink")
def run_sales_sink() -> None:
    """The sales into the database that BIKE_SALES_DATABASE names."""
    from bike_assets import services

    services.run_sales_sink(settings_of())


@services_app.command("orders-sink")
def run_orders_sink() -> None:
    """The orders into the Cassandra that BIKE_ORDERS_CASSANDRA names."""
    from bike_assets import services

    services.run_orders_sink(settings_of())


@services_app.command("members-sink")
def run_members_sink() -> None:
    """The members into the Cassandra that BIKE_MEMBERS_CASSANDRA names."""
    from bike_assets import services

    services.run_members_sink(settings_of())


@services_app.command("shop")
def run_shop(seed: Annotated[int, typer.Option(help="The same seed, the same orders.")] = 1) -> None:
    """The demo's orders, sent to the service of orders."""
    from bike_assets import services

    services.run_shop(settings_of(), seed)


@services_app.command("simulator")
def run_simulator(seed: Annotated[int, typer.Option(help="The same seed, the same city.")] = 1) -> None:
    """Two cities: one as JCDecaux v1 and v3, and both as GBFS 1.0 to 3.0. `POST /admin/fault?system_id=X&fault=Y` makes
    one misbehave, with `&file=Z` in one file of GBFS, and without a fault behave again; an unknown fault is answered
    with all that there are.
    """
    from bike_assets import services

    services.run_simulator(settings_of(), seed)


@app.command()
def watch(service: Annotated[str, typer.Argument(help="One that writes heartbeats.")]) -> None:
    """A service as `bike run` has it, ended where it hangs: for containers, which start again what has ended.

    Example: `bike watch poller`.
    """
    from bike_assets.heartbeats import BEATING
    from bike_assets.local.watched import watch as run_watched

    if service not in BEATING:
        raise typer.BadParameter(f"{service!r} is none of {', '.join(BEATING)}.")
    command = [sys.executable, "-m", "bike_assets", "run", service]
    raise typer.Exit(run_watched(settings_of().run, service, command))


def _print_report(found: "Report") -> None:
    from bike_assets.local.report import outcome, sentence

    for part in found.parts:
        for step in part.broken:
            out.print(f"[red]not done[/] {escape(step.what)}: {escape(step.reason)}", soft_wrap=True)
    for check in found.of("failed", "warned"):
        word = "[red]failed[/]  " if outcome(check) == "failed" else "[yellow]warns[/]   "
        out.print(f"{word} {check.what}: {sentence(check)}", highlight=False, soft_wrap=True)
    out.print(f"{found.summary}.", highlight=False)
