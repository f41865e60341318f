"""`bailiwick runs replay`: every decision of a run is taken again, here, from what its server recorded."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import typer

from bailiwick.base import Category, Refusal, canonical
from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door
from bailiwick.cli.exits import ExitCode
from bailiwick.cli.showing import Output, say, show_json, show_table
from bailiwick.policy import Bundle, build_bundle
from bailiwick.service import Replayed, Transcript, replay
from bailiwick.stores import open_private
from bailiwick.wiring.compiler import run_policy_compiler

_PAGE = 200


class NoTranscript(Refusal, code="no_transcript", category=Category.INVALID):
    """There is nothing to replay, or it is not a transcript."""

    what: str
    reason: str
    spoken = ("reason",)
    says = "{what}: {reason}"
    remedy = "name a run, or --all, or a file that `bailiwick runs replay RUN --save FILE` wrote"


def replay_runs(door: Door, run: str, export: Path | None, save: Path | None, *, every: bool) -> None:
    """Replay a run, every run, or a transcript; exit code 1 when anything differs.

    Args:
        door: The server, asked unless there is an export.
        run: A run's id; may be empty.
        export: A transcript that was saved before.
        save: Where to keep the transcript.
        every: Whether all runs are meant.
    """
    reports: list[Replayed] = []
    for transcript in _transcripts(door, run, export, every=every):
        if save is not None:
            with open_private(save, "w") as file:
                file.write(canonical(msgspec.to_builtins(transcript)).decode())
        reports.append(replay(transcript, _bundle_of))
    if door.output is Output.JSON:
        show_json(msgspec.to_builtins(reports))
    else:
        _show(reports)
    if any(report.differences for report in reports):
        raise typer.Exit(ExitCode.FAILED)


def _transcripts(door: Door, run: str, export: Path | None, *, every: bool) -> Iterator[Transcript]:
    if export is not None:
        try:
            yield read_transcript(export.read_bytes())
        except OSError as error:
            raise NoTranscript(str(export), str(error)) from error
    elif run or every:
        for id in [run] if run else _all_runs(door):
            yield read_transcript(door.client.download(path_of("runs", id, "/transcript")))
    else:
        raise NoTranscript("runs replay", "neither a run, nor --all, nor --export was given")


def _all_runs(door: Door) -> Iterator[str]:
    cursor = ""
    while True:
        page: dict[str, Any] = door.client.get("/v1/runs", limit=_PAGE, cursor=cursor)
        yield from (run["id"] for run in page["runs"])
        cursor = page.get("next_cursor", "")
        if not cursor:
            return


def read_transcript(body: bytes) -> Transcript:
    """Read a transcript.

    Raises:
        NoTranscript: It is none.
    """
    try:
        return msgspec.json.decode(body, type=Transcript)
    except msgspec.DecodeError as error:
        raise NoTranscript("transcript", str(error)) from error


@lru_cache
def _built(files: tuple[tuple[str, str], ...]) -> Bundle:
    return build_bundle(dict(files), run_policy_compiler)


def _bundle_of(files: Mapping[str, str]) -> Bundle:
    """Compile policies in a child process, for a transcript may come from anywhere."""
    return _built(tuple(sorted(files.items())))


def _show(reports: Sequence[Replayed]) -> None:
    rows = [
        (each.run, each.events, each.decisions, each.verdicts, len(each.unkept), len(each.differences))
        for each in reports
    ]
    show_table(("RUN", "EVENTS", "DECISIONS", "VERDICTS", "UNKEPT", "DIFFERENCES"), rows)
    for report in reports:
        for line in report.unkept:
            say(f"not decided again: {line}", "dim")
    found = [difference for report in reports for difference in report.differences]
    if found:
        say("")
        columns = ("PLACE", "WHAT", "DETAIL")
        show_table(columns, [(each.place, each.what, each.detail) for each in found])
        return
    events, decisions, verdicts = (
        sum(getattr(each, name) for each in reports) for name in ("events", "decisions", "verdicts")
    )
    say(
        f"ok: {len(reports)} run(s), {events} events, {decisions} decisions and {verdicts} verdicts again",
        "bold green",
    )
