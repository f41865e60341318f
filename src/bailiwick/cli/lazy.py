"""The command table: every command by name, loaded when it is called and not before."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Entry(NamedTuple):
    """A command or a group of commands: the module and the name it is written under, and its line in the help."""

    module: str
    name: str
    help: str


COMMANDS = {
    "demo": Entry(
        "bailiwick.cli.demo", "demo_command", "Watch a governed piece of work, from the intent to the proof."
    ),
    "run": Entry(
        "bailiwick.cli.running", "run", "Run an app file and watch it: policy, budget, approval and audit on."
    ),
    "up": Entry("bailiwick.cli.servers", "up", "Run the platform with its API in this terminal."),
    "runs": Entry(
        "bailiwick.cli.runs", "group", "Submit, list, watch, cancel, resume, resolve and replay runs."
    ),
    "approvals": Entry("bailiwick.cli.approvals", "group", "See what waits for people, and decide it."),
    "halts": Entry("bailiwick.cli.halts", "group", "The kill switch: set, list and lift halts."),
    "budgets": Entry("bailiwick.cli.budgets", "group", "Limits that runs share: set and show."),
    "keys": Entry(
        "bailiwick.cli.keys", "group", "Make, list and revoke API keys; make a new admin key on the host."
    ),
    "identities": Entry(
        "bailiwick.cli.identities", "group", "Who may act: make, list, change, disable and enable identities."
    ),
    "tenants": Entry(
        "bailiwick.cli.tenants", "group", "The tenants of a deployment: make, list, disable and enable them."
    ),
    "audit": Entry(
        "bailiwick.cli.auditing",
        "group",
        "Export the log, verify it offline, have it witnessed; check the ledger's invariants.",
    ),
    "workflows": Entry("bailiwick.cli.workflows", "group", "Check workflow files."),
    "db": Entry(
        "bailiwick.cli.databases", "group", "Look at a PostgreSQL's schema, and bring it up to date."
    ),
    "server": Entry("bailiwick.cli.servers", "server", "Run the platform as a service."),
    "model-server": Entry(
        "bailiwick.cli.servers", "model_server", "Run the scripted model server; no model is behind it."
    ),
    "version": Entry("bailiwick.cli.servers", "show_version", "Show the version."),
}


class LazyGroup(TyperGroup):
    """Lists commands from the table; imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Answer for the help and for completion, without importing anything."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.help, short_help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is called."""
        if args and args[0] in COMMANDS:
            return args[0], load_command(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """Import a command of the table: a function, or a `typer.Typer` that groups several."""
    entry = COMMANDS[name]
    found: typer.Typer | Callable[..., None] = getattr(import_module(entry.module), entry.name)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name, help=found.__doc__)(found)
        found = single
    command = get_command(found)
    command.name = name
    return command
