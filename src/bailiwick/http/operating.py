"""Operating: is it alive, is it ready, what does it count, which version is it; without a key."""

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, answers_bytes

router = APIRouter(tags=["operating"])


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether it should get traffic, check by check, and why not."""

    ready: bool
    checks: dict[str, bool]
    reasons: dict[str, str]


class Version(msgspec.Struct, frozen=True):
    """What is running."""

    name: str
    version: str
    api: str


@router.get("/healthz", **answers(Health))
async def healthz() -> Response:
    """Say that the process is alive; asks nothing else."""
    return answer(Health("ok"))


@router.get("/readyz", **answers(Readiness))
async def readyz(request: Request) -> Response:
    """Say whether every check holds; 503 while one does not."""
    found: dict[str, str] = await request.app.state.readiness()
    reasons = {name: why for name, why in found.items() if why}
    checks = {name: not why for name, why in found.items()}
    return answer(Readiness(not reasons, checks, reasons), 503 if reasons else 200)


@router.get("/version", **answers(Version))
async def version(request: Request) -> Response:
    """Name what is running."""
    return answer(Version("bailiwick", request.app.version, "v1"))


@router.get("/metrics", **answers_bytes("text/plain", "All metrics; as OpenMetrics if Accept asks for it."))
async def metrics(request: Request) -> Response:
    """Show what was counted."""
    wanted = "application/openmetrics-text" in request.headers.get("accept", "")
    body, media_type = await request.app.state.meter.exposition(openmetrics=wanted)
    made: dict[str, Any] = {"Content-Type": media_type}
    return Response(body, 200, made)
