"""A witness to run: cosigns the growth of the logs that it knows (C2SP tlog-witness), for another party than the log's."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bailiwick.audit import (
    MAX_REQUEST,
    Checkpoint,
    Growth,
    HistoryRewritten,
    NoteMalformed,
    NoteUnverified,
    VerifierKey,
    WitnessBehind,
    WitnessRequestMalformed,
    cosign,
    read_growth,
)

_SIZE = "text/x.tlog.size"


class Memory(Protocol):
    """Keeps a log's heads, each only if it grew out of the last."""

    def keep(self, origin: str, growth: Growth) -> Checkpoint:
        """Keep a head, durably, or refuse it."""
        ...


class Cosigner(msgspec.Struct, frozen=True):
    """The witness's own key."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]


def create_witness(memories: Mapping[str, Memory], cosigner: Cosigner) -> Starlette:
    """Make the ASGI application of a witness.

    Args:
        memories: What is kept of each log, by its origin; a log that is not here is not known (404).
        cosigner: Who vouches.
    """

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                return PlainTextResponse("too large", 413)
        try:
            growth = read_growth(body)
        except WitnessRequestMalformed as refusal:
            return PlainTextResponse(refusal.message, 400)
        memory = memories.get(growth.note.partition("\n")[0])
        if memory is None:
            return PlainTextResponse("this witness does not know the log", 404)
        return await run_in_threadpool(_vouch, memory, growth, cosigner)

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


def _vouch(memory: Memory, growth: Growth, cosigner: Cosigner) -> Response:
    """Keep the head first: what was cosigned must never be forgotten."""
    try:
        memory.keep(growth.note.partition("\n")[0], growth)
    except WitnessBehind as refusal:
        # The protocol names this type exactly, and a text response would add its charset.
        return Response(f"{refusal.facts['seen']}\n", 409, {"content-type": _SIZE})
    except (NoteMalformed, NoteUnverified) as refusal:
        return PlainTextResponse(refusal.message, 403)
    except HistoryRewritten as refusal:
        shrunk = growth.old > int(str(refusal.facts["size"]))
        return PlainTextResponse(refusal.message, 400 if shrunk else 422)
    return PlainTextResponse(cosign(growth.note, cosigner.key, cosigner.sign, int(time.time())))
