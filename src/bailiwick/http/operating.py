"""Operating: is it alive, is it ready, what does it count, which version is it; without a key."""

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, answers_bytes
from bailiwick.http.intake import Caller, Door, caller_of
from bailiwick.policy import PERMISSIONS, Permission, Principal
from bailiwick.run import event_schemas
from bailiwick.service import SCHEMA, Platform

router = APIRouter(tags=["operating"])
FIRST_STEPS = "first steps: keys decide at once, whoever made them; four eyes may be one person's"


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether it should get traffic, check by check, and why not; `notes` say what somebody who looks should know."""

    ready: bool
    checks: dict[str, bool]
    reasons: dict[str, str]
    notes: list[str]


class Version(msgspec.Struct, frozen=True):
    """What is running."""

    name: str
    version: str
    api: str


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", **answers(Health))
async def healthz() -> Response:
    """Say that the process is alive; asks nothing else."""
    return answer(Health("ok"))


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", **answers(Readiness))
async def readyz(request: Request) -> Response:
    """Say whether every check holds; 503 while one does not."""
    found: dict[str, str] = await request.app.state.readiness()
    reasons = {name: why for name, why in found.items() if why}
    checks = {name: not why for name, why in found.items()}
    platform: Platform = request.app.state.platform
    notes = [] if platform.standings.hours else [FIRST_STEPS]
    return answer(Readiness(not reasons, checks, reasons, notes), 503 if reasons else 200)


class Schemas(msgspec.Struct, frozen=True):
    """The schemas of a run's events by kind, as JSON Schema (2020-12); `schema` is their number."""

    schema: int
    kinds: dict[str, Any]
    definitions: dict[str, Any]


@router.get("/v1/schemas", **answers(Schemas))
async def schemas(caller: Caller) -> Response:
    """Publish what an event of a run says in the open: the fields of its kind, beside those of every event."""
    kinds, definitions = event_schemas()
    return answer(Schemas(SCHEMA, kinds, definitions))


@router.head("/version", include_in_schema=False)
@router.get("/version", **answers(Version))
async def version(request: Request) -> Response:
    """Name what is running."""
    return answer(Version("bailiwick", request.app.version, "v1"))


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", **answers_bytes("text/plain", "All metrics; as OpenMetrics if Accept asks for it."))
async def metrics(request: Request, door: Door) -> Response:
    """Show what was counted: to everybody in sum, by app, feature and model to a key that stands above the tenants."""
    wanted = "application/openmetrics-text" in request.headers.get("accept", "")
    named = "authorization" in request.headers and _operates(door, await caller_of(request))
    body, media_type = await request.app.state.meter.exposition(openmetrics=wanted, named=named)
    made: dict[str, Any] = {"Content-Type": media_type}
    return Response(body, 200, made)


def _operates(door: Platform, caller: Principal) -> bool:
    """Whether a caller stands above the tenants, or speaks for the deployment's own."""
    granted = PERMISSIONS[caller.role] if caller.role is not None else frozenset()
    return Permission.TENANTS_MANAGE in granted and door.halts.operates(caller)
