"""Approvals: what waits for people, what exactly would run, and their decision."""

from enum import StrEnum
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import (
    ApprovalDetail,
    ApprovalPage,
    ApprovalRow,
    approval_detail,
    approval_row,
)
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, cut, keyset, link
from bailiwick.ports import Approval

router = APIRouter(tags=["approvals"])


class Listed(StrEnum):
    """Which approvals to list."""

    ALL = "all"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CONSUMED = "consumed"


class DecisionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and the digest of the action that was looked at; an approval without it, and any with another one, is refused."""

    reason: str = ""
    digest: str = ""


def _row(door: Door, approval: Approval) -> ApprovalRow:
    return approval_row(approval, door.approving.escalated(approval))


@router.get("/v1/approvals", **answers(ApprovalPage))
async def list_approvals(
    door: Door,
    caller: Caller,
    state: Listed = Listed.PENDING,
    run: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = MAX_LISTED,
    cursor: Cursor = "",
) -> Response:
    """List the tenant's approvals, oldest first."""
    wanted = "" if state is Listed.ALL else state.value
    after = keyset(cursor)
    found = await door.approving.list(caller, state=wanted, run=run, limit=limit + 1, after=after)
    shown, following = cut(found, limit, lambda approval: f"{approval.requested_at}.{approval.id}")
    page = ApprovalPage([_row(door, approval) for approval in shown], following)
    return answer(page, 200, link("/v1/approvals", following, state=state.value, run=run, limit=limit))


@router.get("/v1/approvals/{id}", **answers(ApprovalDetail))
async def show(door: Door, caller: Caller, id: str) -> Response:
    """Show what would run: the action, parsed from the very bytes that were hashed, and the artifacts it names."""
    view = await door.approving.show(caller, id)
    head = await door.reading.head(caller, view.approval.run)
    return answer(approval_detail(view, door.approving.escalated(view.approval), head))


@router.post("/v1/approvals/{id}:approve", **answers(ApprovalRow), openapi_extra=takes(DecisionBody))
async def approve(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Let exactly this action run, once."""
    given = shaped(body, DecisionBody)
    decided = await door.approving.decide(caller, id, approve=True, reason=given.reason, digest=given.digest)
    return answer(_row(door, decided))


@router.post("/v1/approvals/{id}:reject", **answers(ApprovalRow), openapi_extra=takes(DecisionBody))
async def reject(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Refuse this action; its step fails with category `rejected`."""
    given = shaped(body, DecisionBody)
    decided = await door.approving.decide(caller, id, approve=False, reason=given.reason, digest=given.digest)
    return answer(_row(door, decided))
