"""Runs: submit, list, look at, cancel, resume, resolve, roll back, and what they cost."""

import time
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from bailiwick.budget import parse_usd
from bailiwick.http.documenting import answer, answers, answers_bytes, needs_idempotency_key, takes
from bailiwick.http.intake import Body, Caller, Door, IdempotencyKey, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, cut, keyset, link
from bailiwick.http.shapes import (
    CostView,
    ErasedView,
    RunDetailView,
    RunPage,
    RunView,
    Submitted,
    cost_view,
    detail_view,
    erased_view,
    run_view,
    submitted,
)
from bailiwick.http.trace import traceparent_of
from bailiwick.run import Status
from bailiwick.service import IntentRequest, parse_intent

router = APIRouter(tags=["runs"])
Seq = Annotated[int, Path(ge=1, le=10**15, description="The event's number in the run.")]


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a run should end."""

    reason: str = ""


class ResumeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which blocked step may go on (empty: all), and US dollars to add to the budget, as decimal text."""

    step: str = ""
    add_usd: str = ""


class ResolveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of an action whose outcome is unknown; `output` is what it answered, if it happened.

    The output is held to the contract of the tool before anything is recorded. Without one it is done, and only a
    step that reads its answer fails; the answer may be said later. `reference` is what it is found by at the other side.
    `despite_quarantine`: say that it never happened while it may still arrive; a reason is needed.
    `key` is the action's, or the name of a blocked compensation's step that was done by hand.
    """

    key: str
    done: bool
    output: dict[str, Any] | None = None
    reference: str = ""
    reason: str = ""
    despite_quarantine: bool = False


class ChooseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With which workspace a joining step in conflict goes on: what the step `take` left, or the stored `tree`."""

    step: str
    take: str = ""
    tree: str = ""


class RollbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why what a run did should be undone."""

    reason: str


class EraseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why; it stands in the log in the open, so it names a ticket and not what is erased."""

    reason: str


@router.post(
    "/v1/runs",
    **answers(
        Submitted, 201, "The run; a repeat with the same key and body is answered with the same bytes."
    ),
    status_code=201,
    openapi_extra={**takes(IntentRequest), **needs_idempotency_key()},
)
async def submit(door: Door, caller: Caller, key: IdempotencyKey, body: Body, request: Request) -> Response:
    """Submit an intent; it becomes a run, once per Idempotency-Key."""
    began = time.perf_counter()
    intent = parse_intent(body)
    run = await door.submitting.submit(caller, intent, key=key, traceparent=traceparent_of(request.scope))
    request.app.state.meter.hop("submit", time.perf_counter() - began)
    return answer(submitted(run), 201, {"Location": f"/v1/runs/{run.id}"})


@router.get("/v1/runs", **answers(RunPage, 200, "A page; Link rel=next leads to the next one."))
async def list_runs(
    door: Door,
    caller: Caller,
    status: Status | None = None,
    app: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
    cursor: Annotated[str, Query(pattern=r"^(run_[0-9a-z]{26})?$")] = "",
) -> Response:
    """List the tenant's runs, newest first."""
    heads = await door.reading.runs(caller, status=status or "", app=app, before=cursor, limit=limit + 1)
    shown = heads[:limit]
    if len(heads) <= limit:
        return answer(RunPage([run_view(head) for head in shown], ""))
    following = {"status": status or "", "app": app, "limit": limit, "cursor": shown[-1].id}
    query = urlencode({name: value for name, value in following.items() if value})
    page = RunPage([run_view(head) for head in shown], shown[-1].id)
    return answer(page, 200, {"Link": f'</v1/runs?{query}>; rel="next"'})


@router.get("/v1/runs/{id}", **answers(RunDetailView))
async def show(door: Door, caller: Caller, id: str) -> Response:
    """Show all that is known of a run: intent, brief, plan, steps, actions, output."""
    return answer(detail_view(await door.reading.detail(caller, id)))


@router.get("/v1/runs/{id}/cost", **answers(CostView))
async def cost(
    door: Door, caller: Caller, id: str, limit: Limit = MAX_LISTED, cursor: Cursor = ""
) -> Response:
    """Show what a run cost, by role and call by call; the calls come in pages."""
    lines = await door.reading.cost(caller, id, limit=limit + 1, after=keyset(cursor))
    shown, following = cut(lines, limit, lambda line: f"{line.at}.{line.id}")
    head, roles = await door.reading.head(caller, id), await door.reading.costs(caller, id)
    page = cost_view(head, roles, shown, following)
    return answer(page, 200, link(f"/v1/runs/{head.id}/cost", following, limit=limit))


@router.get(
    "/v1/runs/{id}/transcript",
    **answers_bytes("application/json", "The run with all that its decisions rested on."),
)
async def transcript(door: Door, caller: Caller, id: str, request: Request) -> Response:
    """Take a run away, to decide every decision in it again elsewhere."""
    written = await door.transcribing.transcript(caller, id, request.app.version)
    return Response(msgspec.json.encode(written), 200, media_type="application/json")


@router.post(
    "/v1/runs/{id}:cancel",
    **answers(RunView, 202, "Asked; the run is canceled once nothing of it runs."),
    status_code=202,
    openapi_extra=takes(CancelBody, required=False),
)
async def cancel(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Ask a run to end."""
    await door.control.cancel(caller, id, shaped(body, CancelBody).reason)
    return answer(run_view(await door.reading.head(caller, id)), 202)


@router.post(
    "/v1/runs/{id}:resume",
    **answers(RunView, 200, "Blocked steps go on."),
    openapi_extra=takes(ResumeBody, required=False),
)
async def resume(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Let blocked steps go on, with more money if given."""
    given = shaped(body, ResumeBody)
    added = parse_usd(given.add_usd) if given.add_usd else 0
    await door.control.resume(caller, id, step=given.step, add_micro_usd=added)
    return answer(run_view(await door.reading.head(caller, id)))


@router.post(
    "/v1/runs/{id}:resolve",
    **answers(RunView, 200, "Recorded; the run goes on with it."),
    openapi_extra=takes(ResolveBody),
)
async def resolve(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Say what became of an action whose outcome is unknown."""
    given = shaped(body, ResolveBody)
    await door.control.resolve(
        caller,
        id,
        given.key,
        done=given.done,
        output=given.output,
        reference=given.reference,
        reason=given.reason,
        despite_quarantine=given.despite_quarantine,
    )
    return answer(run_view(await door.reading.head(caller, id)))


@router.post(
    "/v1/runs/{id}:choose",
    **answers(RunView, 200, "The joining step goes on with it."),
    openapi_extra=takes(ChooseBody),
)
async def choose(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Choose the workspace of a joining step in conflict."""
    given = shaped(body, ChooseBody)
    await door.control.choose(caller, id, given.step, take=given.take, tree=given.tree)
    return answer(run_view(await door.reading.head(caller, id)))


@router.post(
    "/v1/runs/{id}:rollback",
    **answers(RunView, 202, "Asked; the run is rolled back once all that it did is undone."),
    status_code=202,
    openapi_extra=takes(RollbackBody),
)
async def roll_back(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Have what a run did undone, the last first; a second request is refused, so that it happens once."""
    await door.control.roll_back(caller, id, shaped(body, RollbackBody).reason)
    return answer(run_view(await door.reading.head(caller, id)), 202)


@router.post(
    "/v1/runs/{id}:erase",
    **answers(ErasedView, 200, "Gone; the events stay, and every proof about them stays valid."),
    openapi_extra=takes(EraseBody),
)
async def erase(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Erase the payloads of all events of an ended run."""
    return answer(erased_view(await door.erasing.erase_run(caller, id, shaped(body, EraseBody).reason)))


@router.post(
    "/v1/runs/{id}/events/{seq}:erase",
    **answers(ErasedView, 200, "Gone; the event stays, and every proof about it stays valid."),
    openapi_extra=takes(EraseBody),
)
async def erase_event(door: Door, caller: Caller, id: str, seq: Seq, body: Body) -> Response:
    """Erase the payload of one event of an ended run."""
    return answer(erased_view(await door.erasing.erase(caller, id, seq, shaped(body, EraseBody).reason)))
