"""Approvals: what waits for people, what exactly would run, and the one decision that stands."""

from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base import Digest, Instant, Json, canonical, digest_of, format_instant
from bailiwick.plan import Plan
from bailiwick.policy import NotAnApprover, Permission, Principal, Requester, may_decide, require
from bailiwick.ports import Approval, ApprovalState, GuardFailed, MoveApproval, Views, World
from bailiwick.run import CallState, Escalate, Grant, NotAllowed, Reject, Run
from bailiwick.service.core.bounds import MAX_REASON, within
from bailiwick.service.core.changes import Change, Extra, Record, record_of
from bailiwick.service.core.refusals import (
    AlreadyDecided,
    ApprovalAltered,
    DigestMissing,
    GrantMismatch,
    NotFound,
)
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.holding import asked_of, escalated_to, terms_of
from bailiwick.service.people.rendering import Shown, shown_of
from bailiwick.service.people.standing import Standing, Standings

MAX_LISTED = 200


class ApprovalView(msgspec.Struct, frozen=True):
    """An approval as people see it: the row, and the action parsed from the very bytes that were hashed.

    `shown` is made of `action` and `artifacts`, for eyes; the other two are the raw values. `erased`: the bytes are
    gone, and with them all three.
    """

    approval: Approval
    action: Json
    artifacts: dict[str, str]
    shown: Shown
    erased: bool = False


class Approving(Governed):
    """Lists, shows and decides approvals."""

    def __init__(self, *, runs: Runs, views: Views, standings: Standings, world: World) -> None:
        self._standings = standings
        self._runs = runs
        self._views = views
        self._world = world

    async def list(
        self,
        principal: Principal,
        *,
        state: str = "pending",
        run: str = "",
        limit: int = MAX_LISTED,
        after: tuple[int, str] = (0, ""),
    ) -> list[Approval]:
        """List the tenant's approvals, oldest first, those after one (the instant of its request and its id)."""
        require(principal, Permission.APPROVALS_READ)
        return list(
            await self._views.approvals(principal.tenant, state=state, run=run, limit=limit, after=after)
        )

    async def show(self, principal: Principal, id: str) -> ApprovalView:
        """Show what would run: the stored bytes, and the artifacts that they name.

        Raises:
            NotFound: The tenant has no such approval.
            ApprovalAltered: The row or the bytes are not those that were hashed.
        """
        require(principal, Permission.APPROVALS_READ)
        approval = await self._find(principal.tenant, id)
        call = (await self._runs.entry(approval.tenant, approval.run)).run.calls.get(approval.call)
        its_own = call is not None and call.action_seq == approval.seq
        if its_own and await self._runs.payload(approval.tenant, approval.run, approval.seq) is None:
            return ApprovalView(approval, None, {}, Shown("", "", {}, 0), erased=True)
        action = await self._action(approval)
        artifacts: dict[str, str] = {}
        for name, value in action["arguments"].items():
            body = await self._artifact(approval.tenant, value)
            if body is not None:
                artifacts[name] = body.decode("utf-8", "backslashreplace")
        return ApprovalView(approval, action, artifacts, shown_of(action, artifacts))

    async def _action(self, approval: Approval) -> Any:
        """Read the action that a request is about, and hold bytes and row to what the run's events say was asked."""
        payload = await self._runs.payload(approval.tenant, approval.run, approval.seq)
        action = payload.get("action") if payload is not None else None
        head = await self._views.run(approval.tenant, approval.run)
        least = head.version if head is not None else 0  # another process may have asked
        entry = await self._runs.entry(approval.tenant, approval.run, least=least)
        call = entry.run.calls.get(approval.call)
        asked = call is not None and digest_of(canonical(action)) == approval.digest == call.digest
        # Once it is answered or moot, a later request for the same action may have taken its place.
        standing = approval.state is ApprovalState.PENDING or (
            call is not None and call.approval == approval.id
        )
        if call is not None and standing:
            asked = asked and terms_of(approval, call.contract) == call.terms
        if not asked:
            raise ApprovalAltered(approval.id, approval.run)
        return action

    async def _artifact(self, tenant: str, value: Any) -> bytes | None:
        if not isinstance(value, str) or len(value) != 64:
            return None
        return await self._runs.blobs.get(tenant, Digest(value))

    async def _find(self, tenant: str, id: str) -> Approval:
        approval = await self._views.approval(tenant, id)
        if approval is None:
            raise NotFound("approval", id)
        return approval

    @governed("approvals.decide")
    async def decide(
        self, principal: Principal, id: str, *, approve: bool, reason: str = "", digest: str = ""
    ) -> Approval:
        """Approve or reject, once; of several racers one wins and the others see who.

        Args:
            principal: Who decides; never the requester, nor whom the requester has lately made able to.
            id: The approval.
            approve: Whether the action may run.
            reason: For the record, at most 2,000 characters.
            digest: The action that the person looked at; refused when another one waits. An approval names it.

        Raises:
            Forbidden, SelfApproval, NotAnApprover, MadeByRequester: The principal may not decide this, or not yet.
            Unauthenticated: The identity or the key has ended meanwhile.
            DigestMissing: It is to be approved, and no digest says what was looked at.
            GrantMismatch: `digest` is not the action that waits.
            ApprovalAltered: The request is not what was asked.
            AlreadyDecided: Somebody was first, or it has expired.
            NotFound: The tenant has no such approval.
        """
        require(principal, Permission.APPROVALS_DECIDE)
        within(MAX_REASON, reason=reason)
        approval = await self._find(principal.tenant, id)
        pending = approval.state is ApprovalState.PENDING
        if pending:
            await self._action(
                approval
            )  # who may decide is read off the row: it must be the one that was sealed
        standing, since = await self._standing(principal, approval)
        principal = standing.principal
        if approve and not digest:
            raise DigestMissing(id)
        if digest and digest != approval.digest:
            raise GrantMismatch(asked=digest, waiting=approval.digest)
        if not pending:
            raise _decided(approval)
        state = ApprovalState.APPROVED if approve else ApprovalState.REJECTED
        decided = replace(
            _answered(approval, standing), state=state, decided_at=self._world.now(), reason=reason
        )
        move = MoveApproval(ApprovalState.PENDING, decided, unexpired=True, since=since)

        async def consider(run: Run, plan: Plan) -> Change | None:
            if approve:
                command: Grant | Reject = Grant(approval.call, principal.name)
            else:
                said = f"rejected by {principal.name}" + (f": {reason}" if reason else "")
                command = Reject(approval.call, principal.name, said)
            payload = None if approve else {"outcome": None}
            record = record_of(principal, approval.id, standing.able)
            return Change(command, record, Extra(payload=payload, moved_approvals=(move,)))

        try:
            await self._runs.change(approval.tenant, approval.run, consider)
        except (GuardFailed, NotAllowed) as lost:
            now = await self._find(principal.tenant, id)
            if now.state is ApprovalState.PENDING and await self.expire(now):
                now = await self._find(principal.tenant, id)
            if now.state is ApprovalState.PENDING and since:
                raise NotAnApprover(
                    principal, approval.groups, since
                ) from lost  # the database's clock is behind
            raise _decided(now) from lost
        return decided

    async def _standing(self, principal: Principal, approval: Approval) -> tuple[Standing, Instant]:
        """Say as whom a principal may decide, and since when; what the ledger says of it now counts."""
        run = (await self._runs.entry(approval.tenant, approval.run)).run
        requester = Requester(run.requester, approval.requested_by)
        standing = await self._standings.of(principal)
        since = may_decide(
            standing.principal, requester, asked_of(approval), self._world.now(), standing.formerly
        )
        await self._standings.untouched(standing.principal, requester, approval.requested_at)
        return standing, since

    def escalated(self, approval: Approval) -> tuple[str, ...]:
        """Name the groups that a request is escalated to by now, or was when it was answered."""
        return escalated_to(approval, self._world.now())

    async def escalate(self, approval: Approval) -> bool:
        """Write into the run's log that a request may be answered by more people now; once for each group.

        Who may answer does not rest on this: it follows from the sealed request and the time.

        Returns:
            Whether it was written now; not when nothing is due, it was written before, or somebody has decided.

        Raises:
            ApprovalAltered: The request is not what was asked.
            NotAllowed: The run is in quarantine.
            StaleVersion: Others were faster again and again.
        """
        now = self._world.now()
        due = escalated_to(approval, now) if now < approval.expires_at else ()

        async def consider(run: Run, plan: Plan) -> Change | None:
            call = run.calls.get(approval.call)
            waits = call is not None and call.state is CallState.HELD and call.approval == approval.id
            if call is None or not waits or not set(due) - set(call.escalated):
                return None
            if terms_of(approval, call.contract) != call.terms:
                raise ApprovalAltered(approval.id, approval.run)
            return Change(Escalate(call.key, due), Record("timer:approvals", cause=approval.id))

        if not due:
            return False
        before, after = await self._runs.change(approval.tenant, approval.run, consider)
        return before is not after

    async def expire(self, approval: Approval) -> bool:
        """Close a request that nobody answered in time; the step fails with category `rejected`.

        Returns:
            Whether it was closed now; not when it still has time, or somebody was faster.
        """
        now = self._world.now()
        if approval.expires_at > now:
            return False
        expired = replace(approval, state=ApprovalState.EXPIRED, decided_at=now)
        move = MoveApproval(approval.state, expired, unexpired=False)
        closed = False

        async def consider(run: Run, plan: Plan) -> Change | None:
            nonlocal closed
            call = run.calls.get(approval.call)
            closed = call is not None and call.state is CallState.HELD and call.approval == approval.id
            if not closed:
                return None
            command = Reject(approval.call, "timer", "nobody decided in time")
            extra = Extra(payload={"outcome": None}, moved_approvals=(move,))
            return Change(command, Record("timer:approvals", cause=approval.id), extra)

        try:
            await self._runs.change(approval.tenant, approval.run, consider)
        except (GuardFailed, NotAllowed):
            return False  # somebody decided in the same moment
        return closed


def _answered(approval: Approval, standing: Standing) -> Approval:
    """Write down who answers, with which key, and who had made that person able to."""
    who = standing.principal
    return replace(approval, decided_by=who.name, decider=who.id, decider_key=who.key, able=standing.able)


def _decided(approval: Approval) -> AlreadyDecided:
    at = format_instant(approval.decided_at) if approval.decided_at else ""
    return AlreadyDecided(approval.id, approval.state, approval.decided_by, at)
