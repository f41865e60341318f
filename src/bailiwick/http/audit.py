"""Audit and artifacts: proofs that stand alone, the whole log to take away, and content by its digest."""

import asyncio
import base64
import io
import tarfile
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from bailiwick.audit import InclusionProof
from bailiwick.http.documenting import answer, answers, answers_bytes
from bailiwick.http.events import show
from bailiwick.http.governing import CheckpointView, GrowthView
from bailiwick.http.intake import Caller, Door

router = APIRouter(tags=["audit"])
_FOLDER = "bailiwick-audit"


class ProofView(msgspec.Struct, frozen=True):
    """An inclusion proof and the key that checks its checkpoint; compare the key with one you trust."""

    proof: InclusionProof
    verifier_key: str


@router.get("/v1/audit/checkpoint", **answers(CheckpointView))
async def checkpoint(door: Door, caller: Caller) -> Response:
    """Sign all that is committed so far, and show the signed head."""
    head = await door.sequencing.checkpoint(caller)
    return answer(CheckpointView(head.log, head.size, head.note, door.sequencing.signer.vkey))


@router.get("/v1/audit/proof", **answers(ProofView))
async def proof(
    door: Door,
    caller: Caller,
    event: Annotated[str, Query(pattern=r"^[!-~]{1,200}\.[1-9][0-9]{0,14}$", description="stream.seq")],
) -> Response:
    """Prove that an event is in the tenant's log."""
    stream, _, seq = event.rpartition(".")
    stored = await door.reading.event(caller, stream, int(seq))
    made = await door.sequencing.proof(caller, stream, int(seq), stored.header)
    return answer(ProofView(made, door.sequencing.signer.vkey))


@router.get("/v1/audit/growth", **answers(GrowthView))
async def growth(
    door: Door,
    caller: Caller,
    old: Annotated[
        int, Query(ge=0, le=10**15, description="The size at which the witness last saw the log.")
    ] = 0,
) -> Response:
    """Show how the tenant's log grew, for a witness to keep."""
    grown = await door.witnessing.growth(caller, old)
    signer = door.sequencing.signer
    proof = [base64.b64encode(step).decode() for step in grown.proof]
    origin = grown.note.partition("\n")[0]
    return answer(GrowthView(origin, grown.old, proof, grown.note, signer.vkey, signer.rotations))


class RefusalPage(msgspec.Struct, frozen=True):
    """Refused requests, oldest first; give `next_after` as `after` to get the ones that follow."""

    events: list[dict[str, Any]]
    next_after: int


@router.get("/v1/audit/refusals", **answers(RefusalPage))
async def refusals(
    door: Door,
    caller: Caller,
    after: Annotated[int, Query(ge=0, le=10**15, description="Only events with a higher seq.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many.")] = 100,
) -> Response:
    """List what was asked for with keys of the tenant and refused: who, what, when, and the code of why."""
    found, following = await door.reading.refusals(caller, after=after, limit=limit)
    return answer(RefusalPage([show(event) for event in found], following))


@router.get(
    "/v1/audit/export",
    **answers_bytes("application/x-tar", "The log, and a verifier of one file that needs nothing of ours."),
)
async def export(door: Door, caller: Caller) -> Response:
    """Take the tenant's whole log away, to be verified offline."""
    files = await door.sequencing.export(caller)
    body = await asyncio.to_thread(packed, files)
    return _download(body, "application/x-tar", f"{_FOLDER}.tar")


@router.get("/v1/artifacts/{digest}", **answers_bytes("application/octet-stream", "The artifact's bytes."))
async def artifact(door: Door, caller: Caller, digest: str) -> Response:
    """Read an artifact of the tenant; never shown in place, whatever it holds."""
    body = await door.reading.artifact(caller, digest)
    return _download(body, "application/octet-stream", f"{digest}.bin")


def packed(files: dict[str, bytes]) -> bytes:
    """Put files into a tar archive; the same files make the same bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"{_FOLDER}/{name}")
            member.size = len(body)
            member.mode = 0o600
            archive.addfile(member, io.BytesIO(body))
    return made.getvalue()


def _download(body: bytes, media_type: str, name: str) -> Response:
    return Response(body, 200, {"Content-Disposition": f'attachment; filename="{name}"'}, media_type)
