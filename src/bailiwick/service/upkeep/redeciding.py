"""Redeciding: an action that waits for people is judged again when other policies come into force."""

from collections import Counter

import structlog
from msgspec.structs import replace

from bailiwick.base import Refusal
from bailiwick.plan import Plan
from bailiwick.ports import Approval, ApprovalState, MoveApproval, StaleVersion, Views, World
from bailiwick.run import CallState, NotAllowed, Ruled, Run
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.actions import Actions
from bailiwick.service.gate.gathering import Gathered, judged
from bailiwick.service.gate.holding import OTHER_RULES

BATCH = 200
_RECORD = Record("timer:re-decide")
_AMBIGUOUS = "several identities bore the requester's name; people are asked again"
log = structlog.get_logger("bailiwick.redeciding")


class Redeciding:
    """Brings requests that rest on an earlier policy version under the one in force.

    A grant that was given already is not its business: the dispatch judges that again (see `Granting`).
    """

    def __init__(self, *, runs: Runs, actions: Actions, views: Views, world: World) -> None:
        self._runs = runs
        self._actions = actions
        self._views = views
        self._world = world

    async def redecide(self) -> int:
        """Judge the actions again whose request names another policy version; answer how many were brought up.

        May run any number of times, beside itself and across a crash: each request is one unit of work, and
        one that was brought up names the version in force.
        """
        count = 0
        after = ""
        while True:
            version = self._runs.bundle.version
            page = await self._views.outdated_approvals(version, after=after, limit=BATCH)
            for approval in page:
                count += await self._again(approval)
            if len(page) < BATCH:
                return count
            after = page[-1].id

    async def ask_again(self) -> int:
        """Ask again where a request of before identities names its requester by a name that several had.

        People then see of whom it is, and an answer covers that. May run any number of times: what was asked again
        names an identity.

        Returns:
            How many requests were taken back and asked again.
        """
        count = 0
        after = ""
        bearers: dict[str, Counter[str]] = {}
        while True:
            page = await self._views.outdated_approvals("", after=after, limit=BATCH)
            for approval in page:
                if approval.requester:
                    continue
                if approval.tenant not in bearers:
                    known = await self._views.identities(approval.tenant)
                    bearers[approval.tenant] = Counter(one.formerly for one in known)
                if bearers[approval.tenant][approval.requested_by] > 1:
                    count += await self._again(approval, afresh=_AMBIGUOUS)
            if len(page) < BATCH:
                return count
            after = page[-1].id

    async def _again(self, approval: Approval, afresh: str = "") -> bool:
        async def consider(run: Run, plan: Plan) -> Change | None:
            call = run.calls.get(approval.call)
            waits = call is not None and call.state is CallState.HELD and call.approval == approval.id
            if call is None or not waits:
                return None
            action = await self._actions.stored(run, call)
            contracts = (await self._runs.pinned(run)).contracts
            asked = None if afresh else approval
            found = judged(
                self._runs,
                run,
                plan,
                run.steps[call.step],
                action,
                call,
                contracts,
                approval=asked,
                seq=call.action_seq,
            )
            return self._change(found, approval, afresh or OTHER_RULES)

        try:
            before, after = await self._runs.change(approval.tenant, approval.run, consider)
        except (NotAllowed, StaleVersion):
            return False  # somebody decided, or the run ended, in the same moment
        except Refusal as refusal:
            reason = {"code": refusal.code, "reason": refusal.message}
            log.warning("redeciding.refused", run_id=approval.run, approval=approval.id, **reason)
            return False
        return before is not after

    def _change(self, found: Gathered, approval: Approval, why: str) -> Change:
        """Commit a ruling with what becomes of the request: carried over, taken back and asked again, moot, or refused."""
        ruling = found.ruling
        match ruling.kind:
            case Ruled.HELD if found.asked is None:
                version = ruling.call.policy_version or self._runs.bundle.version
                after = replace(approval, policy_version=version)
            case Ruled.HELD:
                after = self._taken(approval, why)
            case Ruled.GRANTED:
                after = self._taken(approval, "policy allows it now")
            case _:
                after = self._taken(approval, ruling.reason)
        move = MoveApproval(approval.state, after, unexpired=False)
        asked = (found.asked,) if found.asked is not None else ()
        payload = {"outcome": None} if ruling.kind is Ruled.REFUSED else None
        extra = Extra(payload=payload, new_approvals=asked, moved_approvals=(move,))
        return found.change(replace(_RECORD, cause=approval.id), extra)

    def _taken(self, approval: Approval, reason: str) -> Approval:
        now = self._world.now()
        return replace(approval, state=ApprovalState.WITHDRAWN, decided_at=now, reason=reason)
