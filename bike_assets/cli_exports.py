"""`bike export`: the warehouse into files and into other databases."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import SecretStr
from rich.markup import escape

from bike_assets.locks import held
from bike_assets.model.errors import LakeBroken, NotServed, WrongDay
from bike_assets.settings import Settings
from bike_assets.terminal import AsJson, err, out, print_json, settings_of

if TYPE_CHECKING:
    from bike_assets.exports.serve import Book, Database, Served

exports_app = typer.Typer(help="The warehouse as files, or into other databases.", no_args_is_help=True)

System = Annotated[str, typer.Argument(help="A city's system_id.")]
Days = Annotated[str, typer.Argument(help="A local day, 2026-11-20, or a month, 2026-11.")]
Target = Annotated[Path | None, typer.Option("--to", help="The directory; otherwise SYSTEM/DAYS here.")]
First = Annotated[str | None, typer.Argument(help="A day, as 2026-11-20; otherwise all that the database lacks.")]
Last = Annotated[str | None, typer.Argument(help="The last day, where it is a range.")]


@exports_app.command()
def parquet(system: System, days: Days, to: Target = None, as_json: AsJson = False) -> None:
    """A city's day or month as Parquet files, one a table, with the data dictionary beside them.

    Example: `bike export parquet oslobysykkel 2026-11`.
    """
    _files("parquet", system, days, to, as_json=as_json)


@exports_app.command()
def csv(system: System, days: Days, to: Target = None, as_json: AsJson = False) -> None:
    """A city's day or month as CSV files, one a table, with the data dictionary beside them.

    Example: `bike export csv oslobysykkel 2026-11-20`.
    """
    _files("csv", system, days, to, as_json=as_json)


@exports_app.command()
def postgres(first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Days of the warehouse into the PostgreSQL that BIKE_POSTGRES names; what is there already is left alone.

    Examples: `bike export postgres 2026-11-20`, `bike export postgres 2026-11-01 2026-11-20`.
    """
    _database("postgres", first, last, as_json=as_json)


@exports_app.command()
def mysql(first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Days of the warehouse into the MariaDB or MySQL that BIKE_MYSQL names; what is there already is left alone.

    Examples: `bike export mysql 2026-11-20`, `bike export mysql 2026-11-01 2026-11-20`.
    """
    _database("mysql", first, last, as_json=as_json)


@exports_app.command()
def mssql(first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Days of the warehouse into the SQL Server that BIKE_MSSQL names; what is there already is left alone.

    Examples: `bike export mssql 2026-11-20`, `bike export mssql 2026-11-01 2026-11-20`.
    """
    _database("mssql", first, last, as_json=as_json)


@exports_app.command()
def cassandra(first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Days of the warehouse into the Cassandra that BIKE_CASSANDRA names; what is there already is left alone.

    Examples: `bike export cassandra 2026-11-20`, `bike export cassandra 2026-11-01 2026-11-20`.
    """
    _database("cassandra", first, last, as_json=as_json)


@exports_app.command()
def duckdb(first: First = None, last: Last = None, as_json: AsJson = False) -> None:
    """Days of the warehouse into the DuckDB file that BIKE_DUCKDB names; what is there already is left alone.

    Examples: `bike export duckdb 2026-11-20`, `bike export duckdb 2026-11-01 2026-11-20`.
    """
    _database("duckdb", first, last, as_json=as_json)


def _files(
    file_format: Literal["parquet", "csv"], system: str, days: str, to: Path | None, *, as_json: bool
) -> None:
    from bike_assets.exports.files import export_files

    target = to or Path(system.replace(":", "_"), days)
    files = export_files(settings_of().lake, system, days, file_format, target)
    if as_json:
        print_json([asdict(file) for file in files])
        return
    for file in files:
        out.print(f"{escape(str(file.path))}: {file.rows} rows, {file.bytes} bytes", highlight=False, soft_wrap=True)


def _database(name: str, first: str | None, last: str | None, *, as_json: bool) -> None:
    from bike_assets.exports.databases import database
    from bike_assets.exports.notes import write_note
    from bike_assets.exports.serve import lag, serve

    settings = settings_of()
    days = _range(first, last)
    lock, note = settings.run / f"export-{name}.lock", settings.export_note(name)
    database_ = database(name, _address(settings, name))
    with held(lock, f"Another export into {name} is under way"):
        try:
            done = serve(settings.lake, database_, days, _tell(as_json=as_json))
            book = database_.book()
        except (NotServed, LakeBroken) as error:
            write_note(note, _book(database_), str(error))
            raise
        finally:
            database_.close()
    write_note(note, book, None)
    behind = lag(settings.lake, book)
    if as_json:
        parts = [asdict(part) for part in done]
        print_json({"parts": parts, "days_behind": behind.days, "oldest_behind": behind.oldest})
        return
    rows = sum(part.rows for part in done)
    more = f" It lacks {behind.days} days, the oldest {behind.oldest}." if behind.days else " It lacks no day."
    out.print(f"{name}: {len(done)} parts brought, {rows} rows.{more}", highlight=False)


def _book(database: "Database") -> "Book | None":
    """What is there after an export that failed: some parts may have been brought. None where it does not say."""
    try:
        return database.book()
    except NotServed:
        return None


def _tell(*, as_json: bool) -> Callable[["Served"], None]:
    def tell(part: "Served") -> None:
        if not as_json:
            err.print(f"{part.table} {part.part}: {part.rows} rows", highlight=False)

    return tell


def _address(settings: Settings, name: str) -> str | None:
    value = getattr(settings, name)
    if value is None:
        return None
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _range(first: str | None, last: str | None) -> tuple[date, date] | None:
    if first is None:
        return None
    days = _day(first), _day(last or first)
    if days[0] > days[1]:
        raise WrongDay(f"{last} lies before {first}: give the first day first.")
    return days


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WrongDay(f"{text} is no day: give one like 2026-11-20.") from None
