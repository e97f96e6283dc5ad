"""`bike rejections`: rows and bodies that were refused, and their way back once the parser is mended."""

from typing import Any

import typer

from bike_assets.terminal import out, print_json

rejections_app = typer.Typer(help="Refused rows and bodies: look at them, and bring them back.", no_args_is_help=True)


@rejections_app.callback()
def rejections() -> None:
    """Refused rows and bodies: look at them, and bring them back."""


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
        f"Replaced since {done['since']}, {systems}: {after['polls']} polls (before: {before['polls']}), "
        f"{after['events']} events ({before['events']}), {after['rows_accepted']} rows accepted "
        f"({before['rows_accepted']}), {after['rows_rejected']} rejected ({before['rows_rejected']}).\n"
        f"The warehouse's days are built again once a stream runs, or by `bike build {days}`.",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
