"""`bailiwick audit erase`: erase the payload of an event, or of all events of a run, on the record."""

import sys
from typing import Annotated, Any

import typer

from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.files import Unusable
from bailiwick.cli.showing import say


@connected
def erase(
    door: Door,
    what: Annotated[
        str, typer.Argument(metavar="RUN[.SEQ]", help="A run, or one event of it; the run has ended.")
    ],
    reason: Annotated[
        str, typer.Option(help="Why. It is kept in the open: name a ticket, not what is erased.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; nothing brings it back.")] = False,
) -> None:
    """Erase what a run recorded beside its events, for good; who did it and why is an event, and all proofs hold."""
    run, dot, seq = what.partition(".")
    if dot and not (seq.isascii() and seq.isdecimal() and len(seq) < 16 and int(seq) > 0):
        raise Unusable(what, "an event is RUN.SEQ, with SEQ from 1", "bailiwick runs events RUN lists them")
    place = f"the payload of event {what}" if dot else f"the payloads of all events of {run}"
    if not yes:
        if not sys.stdin.isatty():
            raise Unusable("--yes", "nobody is there to be asked", "erase without being asked: give --yes")
        typer.confirm(f"Erase {place}? Nothing brings it back.", abort=True, err=True)
    act = f"/events/{seq}:erase" if dot else ":erase"
    door.show(door.client.post(path_of("runs", run, act), {"reason": reason}), _show_erased)


def _show_erased(done: dict[str, Any]) -> None:
    say(f"erased {len(done['erased'])} payload(s) of {done['run']}; their events and all proofs stay")
    if done["artifacts"]:
        say(f"not erased: {len(done['artifacts'])} artifact(s) that belong to the run", "yellow")
        for digest in done["artifacts"]:
            say(f"  {digest}", "dim")
