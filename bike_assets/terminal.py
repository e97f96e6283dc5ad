"""What all commands share: the two outputs, the settings as a command reads them, options, JSON."""

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from bike_assets.logs import set_up_logs
from bike_assets.settings import Settings, load_settings, unknown_variables

out = Console()
err = Console(stderr=True)

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


def print_json(value: Any) -> None:
    """One line of JSON for a program."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
