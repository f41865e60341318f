"""`bailiwick tenants`: for the deployment's operators; make, list, disable and enable tenants."""

from typing import Annotated, Any

import typer

from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_table

group = typer.Typer(
    help="The tenants of a deployment: make, list, disable and enable them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="The tenant's name.")]


@group.command()
@connected
def create(door: Door, tenant: Name) -> None:
    """Make a tenant with its first admin; the secret of that one's key is shown this once."""
    door.show(door.client.post("/v1/tenants", {"id": tenant}), _show_made)


def _show_made(made: dict[str, Any]) -> None:
    say(made["secret"])
    key = made["key"]
    say(
        f"{key['id']} of {key['name']} of {made['tenant']['id']}; the secret above is not shown again",
        stderr=True,
    )


@group.command("list")
@connected
def list_tenants(door: Door) -> None:
    """List the tenants, disabled ones too."""
    door.show(door.client.pages("/v1/tenants", "tenants"), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    rows = [(row["id"], row["created_at"], row["disabled_at"]) for row in page["tenants"]]
    show_table(("TENANT", "CREATED", "DISABLED"), rows)


@group.command()
@connected
def disable(door: Door, tenant: Name) -> None:
    """Refuse its keys and start nothing of it; what runs stands still until it is enabled."""
    done = door.client.post(path_of("tenants", tenant, ":disable"))
    door.show(done, lambda it: say(f"{it['id']} is disabled since {it['disabled_at']}"))


@group.command()
@connected
def enable(door: Door, tenant: Name) -> None:
    """Let it work again: its keys are heard, and what stood still goes on."""
    done = door.client.post(path_of("tenants", tenant, ":enable"))
    door.show(done, lambda it: say(f"{it['id']} is enabled"))
