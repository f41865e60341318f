"""Shapes: small valid units for the conformance suite, and its clock."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from bailiwick.base import Digest, Instant, canonical
from bailiwick.ports import (
    Approval,
    Draft,
    MoveApproval,
    MoveTask,
    Posting,
    RunHead,
    Submission,
    Task,
    TaskState,
    Unit,
)

SALT = bytes(range(16))
DIGEST = Digest("d" * 64)
FAR = Instant(4_000_000_000_000_000)
BLOB_KEY = b"a key of the conformance suite"


class ShiftedClock:
    """The database's clock of a test: real time that can be moved."""

    def __init__(self) -> None:
        self.ahead = 0
        self.followers: list[Callable[[int], None]] = []

    def __call__(self) -> int:
        return time.time_ns() // 1_000 + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += round(seconds * 1_000_000)
        for follow in self.followers:
            follow(self.ahead)


def draft(kind: str = "noted", body: Any = None) -> Draft:
    payload = None if body is None else canonical(body)
    return Draft({"kind": kind, "at": 1}, payload, SALT if payload is not None else b"")


def opening(run: str, *, tenant: str = "acme", events: int = 1, **side: Any) -> Unit:
    return Unit(tenant, run, 0, tuple(draft("opened", {"n": n}) for n in range(events)), **side)


def following(run: str, expected: int, *, tenant: str = "acme", **side: Any) -> Unit:
    return Unit(tenant, run, expected, (draft("went-on", {"from": expected}),), **side)


def task(
    id: str,
    *,
    tenant: str = "acme",
    capability: str = "write@1",
    state: TaskState = TaskState.QUEUED,
    epoch: int = 0,
    session: str = "",
    due_at: int = 1,
    timeout_at: int = 0,
    priority: int = 0,
    app: str = "shop",
    since: int = 1,
) -> Task:
    return Task(
        id=id,
        tenant=tenant,
        run="run_a",
        step="build",
        call="",
        capability=capability,
        pool="default",
        priority=priority,
        state=state,
        epoch=epoch,
        session=session,
        due_at=Instant(due_at),
        timeout_at=Instant(timeout_at),
        app=app,
        since=Instant(since),
    )


def claim(queued: Task, session: str = "ses_1") -> MoveTask:
    leased = msgspec.structs.replace(queued, state=TaskState.LEASED, epoch=queued.epoch + 1, session=session)
    return MoveTask(queued.state, queued.epoch, leased)


def finish(leased: Task) -> MoveTask:
    done = msgspec.structs.replace(leased, state=TaskState.DONE)
    return MoveTask(TaskState.LEASED, leased.epoch, done)


def approval(id: str = "apr_1", *, tenant: str = "acme", run: str = "run_a", **other: Any) -> Approval:
    plain = Approval(
        id=id,
        tenant=tenant,
        run=run,
        step="apply",
        call="key",
        capability="git.apply@1.0.0",
        digest=DIGEST,
        seq=3,
        groups=("leads", "owners"),
        holds=({"id": "hold-1", "group": "leads", "digest": "e" * 64, "reason": "writes"},),
        policy_version="p1",
        requested_by="ann",
        requested_at=Instant(5),
        expires_at=FAR,
        evidence=("f" * 64,),
    )
    return msgspec.structs.replace(plain, **other)


def moved(before: Approval, *, unexpired: bool = False, since: int = 0, **after: Any) -> MoveApproval:
    return MoveApproval(before.state, msgspec.structs.replace(before, **after), unexpired, Instant(since))


def head(id: str, *, tenant: str = "acme", **other: Any) -> RunHead:
    plain = RunHead(
        id=id,
        tenant=tenant,
        app="delivery",
        workflow="change",
        title="Create a health endpoint",
        status="executing",
        version=1,
        requested_by="ann",
        feature="health",
        team="core",
        created_at=Instant(1),
        updated_at=Instant(2),
        deadline=FAR,
        allotment_micro_usd=5_000_000,
        reserved_micro_usd=1_000,
        spent_micro_usd=20_000,
        waiting_for="",
    )
    return msgspec.structs.replace(plain, **other)


def posting(id: str, *, tenant: str = "acme", run: str = "run_a", at: int = 1) -> Posting:
    return Posting(
        id=id,
        tenant=tenant,
        app="delivery",
        run=run,
        step="write",
        role="implementer",
        call="key",
        capability="model@1",
        at=Instant(at),
        cost_micro_usd=1_234,
        input_tokens=100,
        output_tokens=20,
        usage_source="reported",
        ended="completed",
        duration_ms=900,
        first_token_ms=80,
        tries=1,
        interruptions=0,
        feature="health",
        team="core",
    )


def submission(key: str, *, tenant: str = "acme", run: str = "run_a") -> Submission:
    return Submission(tenant, key, DIGEST, run)
