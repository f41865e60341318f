"""`bailiwick keys`: API keys of people and programs."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_table
from bailiwick.wiring import load_settings
from bailiwick.wiring.recovering import recover_admin

group = typer.Typer(
    help="Make, list and revoke API keys; make a new admin key on the host.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@group.command()
@connected
def create(
    door: Door,
    name: Annotated[
        str, typer.Option(help="A new identity with this key; approvals name it.", show_default=False)
    ] = "",
    role: Annotated[
        str, typer.Option(help="Its role: viewer, operator, approver, admin or platform.", show_default=False)
    ] = "",
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="An approver group of it; may be repeated.")
    ] = None,
    service: Annotated[
        bool, typer.Option("--service", help="It is a program; it may ask, and never decides.")
    ] = False,
    identity: Annotated[
        str, typer.Option(help="One more key for this identity instead, by name or id.", show_default=False)
    ] = "",
    expires: Annotated[
        str, typer.Option(help="When it ends, RFC 3339; else never.", show_default=False)
    ] = "",
) -> None:
    """Make a key, with a new identity or for one that is there; its secret is shown this once."""
    body: dict[str, Any] = {"expires_at": expires} if expires else {}
    if identity:
        if name or role or groups or service:
            raise typer.BadParameter("an identity that is there keeps its name, role and groups")
        body["identity"] = identity
    else:
        if not name or not role:
            raise typer.BadParameter(
                "say --name and --role of a new identity, or --identity of one that is there"
            )
        body |= {"name": name, "role": role, "groups": groups if groups is not None else []}
        body |= {"kind": "service"} if service else {}
    door.show(door.client.post("/v1/keys", body), _show_made)


def _show_made(made: dict[str, Any]) -> None:
    say(made["secret"])
    key = made["key"]
    say(f"{key['id']} of {key['name']} ({key['role']}); the secret above is not shown again", stderr=True)


@group.command("list")
@connected
def list_keys(door: Door) -> None:
    """List the tenant's keys, revoked ones too."""
    door.show(door.client.pages("/v1/keys", "keys"), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    columns = ("KEY", "NAME", "ROLE", "GROUPS", "CREATED", "EXPIRES", "REVOKED")
    show_table(columns, [_row(key) for key in page["keys"]])


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    groups = ", ".join(key["groups"])
    times = (key["created_at"], key["expires_at"], key["revoked_at"])
    return (key["id"], key["name"], key["role"], groups, *times)


@group.command()
@connected
def revoke(door: Door, key: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """End a key at once."""
    ended = door.client.post(path_of("keys", key, ":revoke"))
    door.show(ended, lambda it: say(f"{it['id']} of {it['name']} is revoked"))


@group.command()
def recover(
    data_dir: Annotated[
        str | None, typer.Option(help="Where the data lies (BAILIWICK_DATA_DIR, ~/.bailiwick).")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="The PostgreSQL, if it is in one (BAILIWICK_STORE).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A settings file; else bailiwick.toml, if it is here.")
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="For another tenant than the deployment's own.", show_default=False)
    ] = "",
) -> None:
    """Make a new admin with a key, on the host itself, when all admin keys are lost; the log says so.

    No server may hold the data directory meanwhile; beside a PostgreSQL the servers may go on.
    """
    settings = load_settings(config, data_dir=data_dir, store=store)
    held, secret = asyncio.run(recover_admin(settings, tenant or settings.tenant))
    say(secret)
    say(
        f"{held.key.id} of {held.identity.name}, an admin of {held.identity.tenant}; "
        "the secret above is not shown again",
        stderr=True,
    )
