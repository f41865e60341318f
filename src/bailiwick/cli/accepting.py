"""`bailiwick audit accept-break`: go on with a log that was changed behind the platform's back, on the record."""

import asyncio
from typing import Annotated

import typer

from bailiwick.cli.doors import DataDir
from bailiwick.cli.showing import say
from bailiwick.wiring import load_settings
from bailiwick.wiring.accepting import accept_break as accept


def accept_break(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="tenant:ID or platform, as the refusal names it.")
    ],
    reason: Annotated[str, typer.Option(help="What was found out. It is kept in the open.")],
    data_dir: DataDir = "",
    store: Annotated[
        str | None, typer.Option(help="A PostgreSQL, postgres://... (BAILIWICK_STORE, or the settings file).")
    ] = None,
) -> None:
    """Sign a broken log as it lies, while no server runs; the log itself says what was found and who answers for it."""
    done = asyncio.run(accept(load_settings(data_dir=data_dir or None, store=store), log, reason))
    say(f"{done.log} goes on from {done.size} events", "bold green")
    say(f"recorded as log.break_accepted: {f'{done.event}: ' if done.event else ''}{done.found}")
    say("who witnessed it before still convicts it", "yellow")
