"""`bailiwick keys`: API keys of people and programs."""

from typing import Annotated, Any

import typer

from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_table

group = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)


@group.command()
@connected
def create(
    door: Door,
    name: Annotated[str, typer.Option(help="Whose key it is; approvals name it.")],
    role: Annotated[str, typer.Option(help="viewer, operator, approver or admin.")],
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="An approver group; may be repeated.")
    ] = None,
) -> None:
    """Make a key; its secret is shown this once."""
    listed = groups if groups is not None else []
    made = door.client.post("/v1/keys", {"name": name, "role": role, "groups": listed})
    door.show(made, _show_made)


def _show_made(made: dict[str, Any]) -> None:
    say(made["secret"])
    key = made["key"]
    say(f"{key['id']} of {key['name']} ({key['role']}); the secret above is not shown again", stderr=True)


@group.command("list")
@connected
def list_keys(door: Door) -> None:
    """List the tenant's keys, revoked ones too."""
    door.show(door.client.get("/v1/keys"), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    columns = ("KEY", "NAME", "ROLE", "GROUPS", "CREATED", "REVOKED")
    show_table(columns, [_row(key) for key in page["keys"]])


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    groups = ", ".join(key["groups"])
    return key["id"], key["name"], key["role"], groups, key["created_at"], key["revoked_at"]


@group.command()
@connected
def revoke(door: Door, key: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """End a key at once."""
    ended = door.client.post(path_of("keys", key, ":revoke"))
    door.show(ended, lambda it: say(f"{it['id']} of {it['name']} is revoked"))
