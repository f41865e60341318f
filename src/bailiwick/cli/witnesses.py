"""`bailiwick audit witness`, `serve-witness` and `rotate-key`: what makes a log convincing to others than its operator."""

import asyncio
import base64
import contextlib
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from bailiwick.audit import Growth, WitnessBehind, linked, notes_in
from bailiwick.base import Category, Refusal
from bailiwick.cli.doors import DataDir, Door, connected
from bailiwick.cli.showing import say
from bailiwick.stores import make_folder
from bailiwick.wiring import load_settings
from bailiwick.wiring.trust import rotate_signing_key
from bailiwick.wiring.witnesses import known_logs, witness_app, witness_at


class NotesUnreadable(Refusal, code="notes_unreadable", category=Category.INVALID):
    """A file of signed heads cannot be read."""

    path: Path
    reason: str
    spoken = ("reason",)
    says = "{path} holds no signed heads: {reason}"
    remedy = "name the file that `bailiwick audit witness` wrote"


@connected
def witness(
    door: Door,
    place: Annotated[str, typer.Argument(help="Where heads are kept: a file, or a witness's address.")],
    vkey: Annotated[
        str,
        typer.Option(help="The log's verifier key, from elsewhere; else the server's word for it is taken."),
    ] = "",
) -> None:
    """Keep the log's newest signed head outside its operator's reach, if it grew out of the last one kept there."""
    said = door.client.get("/v1/audit/growth")
    keys = linked([vkey or said["verifier_key"]], notes_in(said["rotations"]))
    found = witness_at(place, lambda: keys)
    try:
        lines = asyncio.run(found.add(said["origin"], _growth(said)))
    except WitnessBehind as behind:
        said = door.client.get("/v1/audit/growth", old=int(str(behind.facts["seen"])))
        lines = asyncio.run(found.add(said["origin"], _growth(said)))
    head = dict(zip(("origin", "size", "root"), said["note"].split("\n"), strict=False))
    told = {**head, "witness": found.name, "cosignature": lines}
    door.show(told, lambda _: _tell(told, anchored=bool(vkey)))


def _tell(told: dict[str, str], *, anchored: bool) -> None:
    say(f"{told['witness']} keeps {told['origin']} at size {told['size']}", "bold green")
    if told["cosignature"]:
        say(told["cosignature"].rstrip("\n"))
    if not anchored:
        say("the key came from the server; give the one you trust with --vkey", "dim")


def _growth(said: dict[str, str]) -> Growth:
    return Growth(int(said["old"]), tuple(map(base64.b64decode, said["proof"])), said["note"])


def serve_witness(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where its key and the heads it saw are kept.")
    ],
    log: Annotated[
        list[str],
        typer.Option(
            metavar="ORIGIN=VKEY", help="A log and its verifier key, from its operator; may be repeated."
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7082,
    name: Annotated[str, typer.Option(help="The witness's own name.")] = "witness.local",
) -> None:
    """Run a witness of other people's logs (C2SP tlog-witness): it cosigns each head that grew out of the last."""
    make_folder(folder)
    app, own = witness_app(folder, name, known_logs(log))
    say(f"witness {own} on http://{host}:{port}")
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(app, host=host, port=port, log_level="warning")


def rotate_key(data_dir: DataDir = "") -> None:
    """Replace the signing key of a stopped server; the old and the new key both sign that the one follows the other."""
    settings = load_settings(data_dir=data_dir or None)
    rotation = asyncio.run(rotate_signing_key(settings))
    say(f"old verifier key: {rotation.old}")
    say(f"new verifier key: {rotation.new}", "bold green")
    say("hand the new one to your auditors; what the old one signed stays verifiable with either")


def kept_notes(path: Path) -> list[str]:
    """Read a file of signed heads.

    Raises:
        NotesUnreadable: It cannot be read, or holds none.
    """
    try:
        notes = notes_in(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NotesUnreadable(path, str(error)) from error
    if not notes:
        raise NotesUnreadable(path, "no signed note is in it")
    return notes
