"""`bike members`: ask the members API, and forget a member."""

from typing import Annotated

import typer
from rich.markup import escape

from bike_assets.model.errors import WrongSettings
from bike_assets.terminal import AsJson, err, out, print_json, safe_text, settings_of

members_app = typer.Typer(help="Members: taken from their API by a policy, and forgotten.", no_args_is_help=True)


@members_app.command("poll")
def poll(as_json: AsJson = False) -> None:
    """Ask the members API that BIKE_MEMBERS_URL names for who is new, and store them; again adds nobody.

    Exit status 1 where it did not answer; with `--json` the answer tells.
    """
    from bike_assets.local.members import poll_members

    done = poll_members(settings_of())
    if as_json:
        print_json(done)
        return
    out.print(
        f"{done['pages']} pages with {done['rows']} members: {done['created']} new, {done['known']} known, "
        f"{done['suppressed']} had asked to be forgotten, {done['rejected']} refused."
    )
    if done["error"] is not None:
        out.print(escape(safe_text(done["error"])), soft_wrap=True)
        raise typer.Exit(1)


@members_app.command("forget")
def forget(
    member_id: Annotated[str | None, typer.Argument(help="The member's id.")] = None,
    email: Annotated[str | None, typer.Option(help="Or the address.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remove a member from Kafka, the lake and Cassandra, and never take them again.

    Broken off, the same command goes on with it. An address is not kept by this command; your shell may keep it.

    Examples: `bike members forget 7a0eed16-9430-4d68-901f-c0d4c1c3bf00`, `bike members forget --email a@example.com`.
    """
    from bike_assets.local.members import forget as forget_everywhere

    if (member_id is None) == (email is None):
        raise WrongSettings("Give a member's id, or --email and the address.")
    told = forget_everywhere(settings_of(), member_id, email, lambda said: err.print(said, highlight=False))
    if as_json:
        print_json(told)
        return
    out.print(f"Forgotten: {told['rows']} rows, {told['files']} files; Kafka {told['kafka']}; "
              f"Cassandra: {told['cassandra']}.")  # fmt: skip
