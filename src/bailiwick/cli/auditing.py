"""`bailiwick audit`: take the log away, and check an export offline, without any server."""

import asyncio
import io
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bailiwick.audit import EXPORT_FILES, Report, verify_export
from bailiwick.base import Category, Refusal
from bailiwick.cli.accepting import accept_break
from bailiwick.cli.doors import Choice, Door, Format, connected
from bailiwick.cli.erasing import erase
from bailiwick.cli.exits import ExitCode
from bailiwick.cli.replacing import replace_key
from bailiwick.cli.showing import Output, say, show_json, show_table
from bailiwick.cli.witnesses import kept_notes, rotate_key, serve_witness, witness
from bailiwick.ports import Checked, Violation
from bailiwick.stores import make_folder, write_private

_REFUSALS = ("SEQ", "AT", "ACTOR", "KEY", "ACT", "SUBJECT", "CODE", "COUNT")

group = typer.Typer(
    help="Export the log, verify it offline, erase payloads, have it witnessed; check the invariants of a ledger.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
group.command()(witness)
group.command()(serve_witness)
group.command()(rotate_key)
group.command("accept-break")(accept_break)
group.command("replace-lost-key")(replace_key)
group.command()(erase)


class NoExport(Refusal, code="no_export", category=Category.INVALID):
    """A path holds no export, or is not free for one."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: {reason}", remedy=remedy, path=str(path))


@group.command()
@connected
def export(
    door: Door, folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]
) -> None:
    """Write the tenant's whole log to a folder, with a verifier of one file beside it."""
    make_folder(folder)
    if any(folder.iterdir()):
        raise NoExport(folder, "the folder is not empty", "name a new folder")
    files = unpacked(door.client.download("/v1/audit/export"))
    for name, body in files.items():
        write_private(folder / name, body)
    said = {"folder": str(folder), "files": {name: len(body) for name, body in files.items()}}
    door.show(
        said,
        lambda _: say(f"wrote {', '.join(files)} to {folder}; check with: bailiwick audit verify {folder}"),
    )


@group.command()
@connected
def refusals(
    door: Door,
    after: Annotated[int, typer.Option(help="Only events with a higher number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 100,
) -> None:
    """Show what was asked for with the tenant's keys and refused, oldest first."""
    page = door.client.get("/v1/audit/refusals", after=after, limit=limit)
    door.show(page, lambda said: show_table(_REFUSALS, (_refusal(event) for event in said["events"])))


def _refusal(event: dict[str, Any]) -> tuple[str, ...]:
    """Tell a refused request in a row."""
    names = ("seq", "at", "actor", "api_key", "act", "subject", "code", "count")
    return tuple(str(event.get(name, "1" if name == "count" else "")) for name in names)


@group.command()
def verify(
    path: Annotated[Path, typer.Argument(help="The folder of an export, or its tar file.")],
    vkey: Annotated[
        list[str] | None, typer.Option(help="A verifier key that you trust, from elsewhere; may be repeated.")
    ] = None,
    witnessed: Annotated[
        Path | None, typer.Option(help="A file of signed heads that you kept: what `audit witness` wrote.")
    ] = None,
    witness_vkey: Annotated[
        list[str] | None,
        typer.Option(help="A witness's verifier key: only heads that it cosigned count; may be repeated."),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Check an export offline: signature, tree, every event. Exit code 1 when anything was changed."""
    report = verify_export(
        _read(path),
        trusted=vkey if vkey is not None else [],
        witnessed=kept_notes(witnessed) if witnessed is not None else [],
        witnesses=witness_vkey if witness_vkey is not None else [],
    )
    if output is Output.JSON:
        show_json(msgspec.to_builtins(report))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(ExitCode.FAILED)


@group.command()
def invariants(
    data_dir: Annotated[
        str, typer.Option(help="The data directory (BAILIWICK_DATA_DIR, ~/.bailiwick).", show_default=False)
    ] = "",
    store: Annotated[
        str | None,
        typer.Option(
            help="The PostgreSQL that holds the ledger, postgres://... (BAILIWICK_STORE, or the settings file)."
        ),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Ask the ledger what must always hold; a server may be at work on it. Exit code 1 when something does not."""
    from bailiwick.cli.databases import postgres_in  # noqa: PLC0415 - the other commands open no store
    from bailiwick.wiring import load_settings  # noqa: PLC0415
    from bailiwick.wiring.inspecting import inspect  # noqa: PLC0415

    folder = Choice(data_dir=data_dir).folder
    shared = load_settings(data_dir=str(folder)).shared_folder
    checked, violations = asyncio.run(inspect(folder, postgres_in(store), shared))
    if output is Output.JSON:
        told = {"ok": not violations, "checked": checked, "violations": violations}
        show_json(msgspec.to_builtins(told))
    else:
        _show_invariants(checked, violations)
    if violations:
        raise typer.Exit(ExitCode.FAILED)


def _show_invariants(checked: Sequence[Checked], violations: Sequence[Violation]) -> None:
    broken = Counter(violation.invariant for violation in violations)
    rows = [
        (each.invariant, f"{each.count} {each.over}", broken[each.invariant], each.says) for each in checked
    ]
    show_table(("INVARIANT", "OVER", "VIOLATED", "SAYS"), rows)
    if not violations:
        say(f"ok: {len(checked)} invariants hold", "bold green")
        return
    say("")
    columns = ("INVARIANT", "TENANT", "WHERE", "DETAIL")
    show_table(columns, [(each.invariant, each.tenant, each.id, each.detail) for each in violations])
    say(f"{len(violations)} violation(s) of {len(broken)} of {len(checked)} invariants", "bold red")


def _show(report: Report) -> None:
    if report.ok:
        say(
            f"ok: {report.covered} events under the signed head of {report.origin} (size {report.size})",
            "bold green",
        )
    else:
        say(f"changed: {len(report.findings)} finding(s) in {report.origin or 'this export'}", "bold red")
        rows = [(finding.event, finding.index, finding.code, finding.detail) for finding in report.findings]
        show_table(
            ("EVENT", "LEAF", "FAULT", "DETAIL"),
            [["-" if cell in ("", None) else cell for cell in row] for row in rows],
        )
    if report.erased:
        say(f"{len(report.erased)} payload(s) were erased, which breaks no proof")
    behind = report.size - report.witnessed
    if behind:
        say(
            f"not covered by a witness: the last {behind} of {report.size} events; whoever holds the signing key "
            "could have rewritten them (docs/security.md says how to witness)",
            "yellow",
        )
    if not report.anchored:
        say(
            "the key came with the export; compare it with one you trust, or give that one with --vkey", "dim"
        )


def unpacked(body: bytes) -> dict[str, bytes]:
    """Read the files of an export out of a tar archive; whatever else is in it is left alone."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            content = archive.extractfile(member) if member.isfile() and name in EXPORT_FILES else None
            if content is not None:
                files[name] = content.read()
    return files


def _read(path: Path) -> dict[str, bytes]:
    remedy = "name the folder or the tar file that `bailiwick audit export` wrote"
    try:
        if path.is_dir():
            files = {name: (path / name).read_bytes() for name in EXPORT_FILES if (path / name).is_file()}
        else:
            files = unpacked(path.read_bytes())
    except (OSError, tarfile.TarError) as error:
        raise NoExport(path, str(error), remedy) from error
    if not files:
        raise NoExport(path, "it holds none of an export's files", remedy)
    return files
