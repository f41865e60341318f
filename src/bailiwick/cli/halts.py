"""`bailiwick halts`: the kill switch."""

from typing import Annotated, Any

import typer

from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_table

group = typer.Typer(
    help="The kill switch: set, list and lift halts.", no_args_is_help=True, rich_markup_mode=None
)


@group.command("set")
@connected
def set_halt(
    door: Door,
    scope: Annotated[str, typer.Argument(help="platform, tenant, app, workflow, agent, tool, model or run.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever is stopped by it.")],
    target: Annotated[
        str, typer.Argument(help="Which one; not for platform and tenant.", show_default=False)
    ] = "",
) -> None:
    """Stop everything in a scope. When this returns, no action there starts."""
    halt = door.client.post("/v1/halts", {"scope": scope, "target": target, "reason": reason})
    door.show(
        halt, lambda made: say(f"{made['id']} is in force; lift it with: bailiwick halts lift {made['id']}")
    )


@group.command("list")
@connected
def list_halts(door: Door) -> None:
    """List the halts in force."""
    door.show(door.client.pages("/v1/halts", "halts"), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    names = ("id", "scope", "target", "reason", "set_by", "set_at")
    columns = ("HALT", "SCOPE", "TARGET", "REASON", "SET BY", "SET AT")
    show_table(columns, [[halt[name] for name in names] for halt in page["halts"]])


@group.command()
@connected
def lift(door: Door, halt: Annotated[str, typer.Argument(help="The halt's id.")]) -> None:
    """Lift a halt, so that work may go on."""
    lifted = door.client.post(path_of("halts", halt, ":lift"))
    door.show(lifted, lambda it: say(f"{it['id']} is lifted; what it alone had stopped goes on by itself"))
