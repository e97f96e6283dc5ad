"""What all commands share: the two outputs, the settings as a command reads them, options, JSON."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from bike_assets.logs import set_up_logs
from bike_assets.settings import Settings, load_settings, unknown_variables

out = Console()
err = Console(stderr=True)

_ANY_WIDTH = 100_000

AsJson = Annotated[bool, typer.Option("--json", help="JSON for a program to read.")]
SourcesFile = Annotated[Path | None, typer.Option("--sources", help="The file of the systems to poll.")]


def settings_of(**given: Any) -> Settings:
    """The settings, with what was given to the command before all else; sets up the logs, and warns."""
    settings = load_settings(**{key: value for key, value in given.items() if value is not None})
    set_up_logs(settings.log_level, as_json=settings.log_json)
    for sentence in unknown_variables():
        err.print(f"[yellow]warning[/]: {escape(sentence)}", highlight=False, soft_wrap=True)
    return settings


def safe_text(text: str) -> str:
    """A text of others without what would command the terminal: what cannot be printed is shown as its escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], *, are_named: bool = False) -> None:
    """A table where it fits into the terminal, else one column a line for each row: nothing is cut.

    Values are rich's markup. Where rows are named, by their first column, it stands above each.
    """
    table = Table(*map(escape, columns))
    for row in rows:
        table.add_row(*row)
    if table.__rich_measure__(out, out.options.update(max_width=_ANY_WIDTH)).maximum <= out.width:
        out.print(table)
        return
    for number, row in enumerate(rows, start=1):
        if are_named:
            out.print(f"[bold]{row[0]}[/]", soft_wrap=True, highlight=False)  # in one piece, to be copied
        else:
            out.rule(f"row {number}", align="left", style="dim")
        record = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
        for name, value in list(zip(map(escape, columns), row, strict=True))[are_named:]:
            if value or not are_named:
                record.add_row(f"  {name}" if are_named else name, value)
        out.print(record)


def print_json(value: Any) -> None:
    """One line of JSON for a program."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
