"""`bailiwick audit replace-lost-key`: go on without a key that is lost for good, on the record."""

import asyncio
from typing import Annotated

import typer

from bailiwick.cli.doors import DataDir
from bailiwick.cli.showing import say
from bailiwick.wiring import load_settings
from bailiwick.wiring.keyfiles import KEY_FILES
from bailiwick.wiring.replacing import replace_lost_key


def replace_key(
    name: Annotated[str, typer.Argument(metavar="FILE", help=f"Which key: {', '.join(KEY_FILES)}.")],
    reason: Annotated[str, typer.Option(help="How it was lost. It is kept in the open.")],
    data_dir: DataDir = "",
    store: Annotated[
        str | None, typer.Option(help="A PostgreSQL, postgres://... (BAILIWICK_STORE, or the settings file).")
    ] = None,
) -> None:
    """Replace a key that is lost for good, while no server runs; every log says so, and what depended on it is told."""
    if name not in KEY_FILES:
        raise typer.BadParameter(f"one of {', '.join(KEY_FILES)}", param_hint="FILE")
    done = asyncio.run(replace_lost_key(load_settings(data_dir=data_dir or None, store=store), name, reason))
    say(f"{name} is another now: {done.fingerprint}", "bold green")
    say(f"recorded as key.replaced in {', '.join(done.logs)}")
    say(done.follows, "yellow")
