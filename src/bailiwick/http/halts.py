"""Halts: the kill switch: what is halted, halt something, lift a halt."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import HaltPage, HaltView, halt_view
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, link, page_of
from bailiwick.policy import Permission, require

router = APIRouter(tags=["halts"])


class HaltBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to stop: platform, tenant, app, workflow, agent, tool, model or run, and its name; and why."""

    scope: str
    reason: str
    target: str = ""


class LiftBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lifting takes no words."""


@router.get("/v1/halts", **answers(HaltPage))
async def list_halts(door: Door, caller: Caller, limit: Limit = MAX_LISTED, cursor: Cursor = "") -> Response:
    """List the halts in force that concern the tenant, by id."""
    require(caller, Permission.HALTS_READ)
    shown, following = page_of(door.halts.list(caller.tenant), lambda halt: halt.id, limit, cursor)
    page = HaltPage([halt_view(halt) for halt in shown], following)
    return answer(page, 200, link("/v1/halts", following, limit=limit))


@router.post(
    "/v1/halts",
    **answers(HaltView, 201, "In force: nothing in its scope starts any more."),
    status_code=201,
    openapi_extra=takes(HaltBody),
)
async def set_halt(door: Door, caller: Caller, body: Body) -> Response:
    """Stop everything in a scope."""
    given = shaped(body, HaltBody)
    halt = await door.halts.set(caller, given.scope, given.target, given.reason)
    return answer(halt_view(halt), 201, {"Location": "/v1/halts"})


@router.post("/v1/halts/{id}:lift", **answers(HaltView), openapi_extra=takes(LiftBody, required=False))
async def lift(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Lift a halt: the named act that lets go what it blocked."""
    shaped(body, LiftBody)
    return answer(halt_view(await door.halts.lift(caller, id)))
