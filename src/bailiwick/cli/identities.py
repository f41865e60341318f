"""`bailiwick identities`: who may act in the tenant; keys are made for them by `bailiwick keys`."""

from typing import Annotated, Any

import typer

from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_table

group = typer.Typer(
    help="Who may act: make, list, change, disable and enable identities.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="The identity's name or id.")]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="An approver group; may be repeated.", show_default=False)
]


@group.command()
@connected
def create(
    door: Door,
    name: Annotated[str, typer.Option(help="Of a-z, 0-9, '.', '_' and '-'; nobody else ever had it.")],
    role: Annotated[str, typer.Option(help="viewer, operator, approver, admin or platform.")],
    groups: Groups = None,
    service: Annotated[
        bool, typer.Option("--service", help="A program; it may ask, and never decides.")
    ] = False,
) -> None:
    """Make an identity, without a key yet."""
    body = {"name": name, "role": role, "groups": groups or [], "kind": "service" if service else "person"}
    door.show(door.client.post("/v1/identities", body), _show)


@group.command("list")
@connected
def list_identities(door: Door) -> None:
    """List the tenant's identities, disabled ones too."""
    door.show(door.client.pages("/v1/identities", "identities"), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    columns = ("IDENTITY", "NAME", "KIND", "ROLE", "GROUPS", "CREATED", "DISABLED", "FORMERLY")
    names = ("id", "name", "kind", "role", "groups", "created_at", "disabled_at", "formerly")
    show_table(
        columns,
        [
            [", ".join(row[name]) if name == "groups" else row[name] for name in names]
            for row in page["identities"]
        ],
    )


@group.command()
@connected
def change(
    door: Door,
    identity: Name,
    role: Annotated[str, typer.Option(help="The role from now on.", show_default=False)] = "",
    groups: Groups = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="No group at all from now on.")] = False,
) -> None:
    """Give an identity another role, other groups (all of them are named), or both."""
    body: dict[str, Any] = {}
    if role:
        body["role"] = role
    if groups is not None or no_groups:
        body["groups"] = [] if no_groups or groups is None else groups
    if not body or (no_groups and groups):
        raise typer.BadParameter("say --role, --group (all that it is to have) or --no-groups")
    door.show(door.client.post(path_of("identities", identity, ":change"), body), _show)


@group.command()
@connected
def disable(door: Door, identity: Name) -> None:
    """Refuse all its keys at once; its name stays taken."""
    door.show(door.client.post(path_of("identities", identity, ":disable")), _show)


@group.command()
@connected
def enable(door: Door, identity: Name) -> None:
    """Let a disabled identity act again."""
    door.show(door.client.post(path_of("identities", identity, ":enable")), _show)


def _show(row: dict[str, Any]) -> None:
    state = "disabled" if row["disabled_at"] else row["role"]
    groups = f", groups {', '.join(row['groups'])}" if row["groups"] else ""
    say(f"{row['id']} {row['name']} ({row['kind']}): {state}{groups}")
