"""Granting: an action that people allowed is dispatched from its stored bytes, once, in the unit that uses the grant up."""

from msgspec.structs import replace

from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.ports import Approval, ApprovalState, Dispatch, GuardFailed, MoveApproval
from bailiwick.run import (
    Bar,
    Call,
    CallState,
    Propose,
    Ruled,
    Run,
    Settle,
    Standing,
    StandingKind,
    Step,
)
from bailiwick.service.core.acting import agent_of
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.actions import Action, Actions
from bailiwick.service.gate.dispatching import dispatch_of, held
from bailiwick.service.gate.gathering import Gathered, judged, ruled
from bailiwick.service.gate.halts import Halts
from bailiwick.service.gate.holding import OTHER_RULES, consumption, fault_of_grant
from bailiwick.service.gate.lines import base_of

_RECORD = Record("platform:gate")
_NO_OUTCOME = {"outcome": None}
_EXPIRED = "the grant expired before it was used"


class Granting:
    """Dispatches what was granted; halt, policy and budget are checked again, and so is the grant."""

    def __init__(self, *, runs: Runs, actions: Actions, halts: Halts) -> None:
        self._runs = runs
        self._actions = actions
        self._halts = halts

    async def dispatch(
        self, tenant: str, run_id: str, step_name: str, epoch: int, session: str
    ) -> Dispatch | None:
        """Dispatch the granted action of a step that this session has claimed.

        Returns:
            None when it may not go on: the step was parked, or the grant is void.
        """
        dispatch: Dispatch | None = None

        async def consider(run: Run, plan: Plan) -> Change | None:
            nonlocal dispatch
            step = held(run, step_name, epoch, session)
            call = run.calls[step.call]
            found, approval = await self._found(run, plan, step, call)
            dispatch = None
            if found.ruling.kind is Ruled.INTENDED:
                dispatch = dispatch_of(run, step, await self._actions.stored(run, call), call.tries + 1)
            return _change(found, call, approval)

        try:
            await self._runs.change(tenant, run_id, consider)
        except GuardFailed:
            await self._overtaken(tenant, run_id, step_name, epoch, session)
            return None
        if dispatch is not None and self._halts.shared:
            return await self._still(dispatch)
        return dispatch

    async def _still(self, dispatch: Dispatch) -> Dispatch | None:
        """Look at the halts of a shared store once more after the commit; what may not go was never sent."""
        await self._halts.confirm()
        halt: Bar | None = None

        async def consider(run: Run, plan: Plan) -> Change | None:
            nonlocal halt
            step = run.steps[dispatch.step]
            halt = self._halts.known(run, agent_of(plan, step), dispatch.capability)
            if halt is None:
                return None
            lost = Settle(dispatch.key, dispatch.epoch, CallState.LOST, reason=f"never sent: {halt.reason}")
            return Change(lost, _RECORD, Extra(payload={"outcome": None}))

        await self._runs.change(dispatch.tenant, dispatch.run, consider)
        return dispatch if halt is None else None

    async def _found(self, run: Run, plan: Plan, step: Step, call: Call) -> tuple[Gathered, Approval | None]:
        """Find out all that the dispatch of a granted action depends on, and how it was answered."""
        contracts = (await self._runs.pinned(run)).contracts
        call = replace(call, epoch=step.epoch)
        action, bar = await self._stored(run, plan, step, call)
        if action is None or bar is not None:
            return ruled(self._runs, run, plan, Propose(call, bar=bar), contracts), None
        approval = await self._runs.views.approval(run.tenant, call.approval)
        fault = fault_of_grant(approval, run, call, action, action.serves)
        if fault:
            return ruled(self._runs, run, plan, Propose(call, fault=fault), contracts), approval
        call = replace(call, base=base_of(run, step, action.contract))
        found = judged(
            self._runs, run, plan, step, action, call, contracts, approval=approval, seq=call.action_seq
        )
        return found, approval

    async def _stored(self, run: Run, plan: Plan, step: Step, call: Call) -> tuple[Action | None, Bar | None]:
        """Find the action as it was held, and what bars it now."""
        halt = self._halts.stopping(run, agent_of(plan, step), call.capability)
        if halt is not None:
            return None, halt
        try:
            action = await self._actions.stored(run, call)
        except NotFound as gone:
            told = f"{gone.message}; offer it again, then: bailiwick runs resume {run.id}"
            return None, Bar(told, Standing(StandingKind.CAPABILITY, call.capability))
        return action, action.gone

    async def _overtaken(self, tenant: str, run_id: str, step_name: str, epoch: int, session: str) -> None:
        """The grant could not be used up: it expired, or another took it; the step goes on with the refusal."""

        async def consider(run: Run, plan: Plan) -> Change | None:
            step = held(run, step_name, epoch, session)
            call = replace(run.calls[step.call], epoch=step.epoch)
            approval = await self._runs.views.approval(tenant, call.approval)
            contracts = (await self._runs.pinned(run)).contracts
            if approval is None or approval.state is not ApprovalState.APPROVED:
                told = Propose(call, fault=f"the approval {call.approval} was used or taken back")
                return ruled(self._runs, run, plan, told, contracts).change(_RECORD)
            told = Propose(call, fault=_EXPIRED, category=ErrorCategory.REJECTED)
            expired = replace(approval, state=ApprovalState.EXPIRED, decided_at=self._runs.world.now())
            move = MoveApproval(ApprovalState.APPROVED, expired, unexpired=False)
            found = ruled(self._runs, run, plan, told, contracts)
            return found.change(_RECORD, Extra(payload=_NO_OUTCOME, moved_approvals=(move,)))

        await self._runs.change(tenant, run_id, consider)


def _change(found: Gathered, before: Call, approval: Approval | None) -> Change:
    """Commit a ruling with what becomes of the request that people answered."""
    match found.ruling.kind:
        case Ruled.INTENDED if before.state is CallState.GRANTED and approval is not None:
            return found.change(_RECORD, Extra(moved_approvals=(consumption(approval),)))
        case Ruled.HELD if found.asked is not None:
            moved: tuple[MoveApproval, ...] = ()
            if approval is not None and approval.state is ApprovalState.APPROVED:
                taken = replace(approval, state=ApprovalState.WITHDRAWN, reason=OTHER_RULES)
                moved = (MoveApproval(ApprovalState.APPROVED, taken, unexpired=False),)
            return found.change(_RECORD, Extra(new_approvals=(found.asked,), moved_approvals=moved))
        case Ruled.REFUSED:
            return found.change(_RECORD, Extra(payload=_NO_OUTCOME))
        case _:
            return found.change(_RECORD)
