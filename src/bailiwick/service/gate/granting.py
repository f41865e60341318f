"""Granting: an action that people allowed is dispatched from its stored bytes, once, in the unit that uses the grant up."""

from msgspec.structs import replace

from bailiwick.contract import ErrorCategory
from bailiwick.plan import Plan
from bailiwick.policy import Verdict, VerdictKind
from bailiwick.ports import Approval, ApprovalState, Dispatch, GuardFailed, MoveApproval
from bailiwick.run import Call, CallState, Journal, Park, Release, Run, Settle, Step, doomed, repeatable
from bailiwick.service.core.acting import agent_of
from bailiwick.service.core.catalogue import Contracts
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.actions import Action, Actions
from bailiwick.service.gate.dispatching import budget_fault, dispatch_of, held, repeated
from bailiwick.service.gate.halts import Halts
from bailiwick.service.gate.holding import answers, consumption, fault_of_grant, request_approval
from bailiwick.service.gate.judging import request_of
from bailiwick.service.gate.lines import base_of

_RECORD = Record("platform:gate")
_LOST = "it was on its way when its worker was lost"


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
            change = await self._decide(run, plan, step)
            dispatch = None
            if isinstance(change.command, Journal) and change.command.call.state is CallState.INTENDED:
                action = await self._actions.stored(run, run.calls[step.call])
                dispatch = dispatch_of(run, step, action, run.calls[step.call].tries + 1)
            return change

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
        halt: str | None = None

        async def consider(run: Run, plan: Plan) -> Change | None:
            nonlocal halt
            step = run.steps[dispatch.step]
            halt = self._halts.known(run, agent_of(plan, step), dispatch.capability)
            if halt is None:
                return None
            lost = Settle(dispatch.key, dispatch.epoch, CallState.LOST, reason=f"never sent: {halt}")
            return Change(lost, _RECORD, Extra(payload={"outcome": None}))

        await self._runs.change(dispatch.tenant, dispatch.run, consider)
        return dispatch if halt is None else None

    async def _decide(self, run: Run, plan: Plan, step: Step) -> Change:
        if doomed(run):
            return Change(Release(step.name, step.epoch, "the run is ending"), _RECORD)
        call = run.calls[step.call]
        halt = self._halts.stopping(run, agent_of(plan, step), call.capability)
        if halt is not None:
            return Change(Park(step.name, step.epoch, halt), _RECORD)
        try:
            action = await self._actions.stored(run, call)
        except NotFound as gone:
            reason = f"{gone.message}; offer it again, then: bailiwick runs resume {run.id}"
            return Change(Park(step.name, step.epoch, reason), _RECORD)
        if action.gone:
            return Change(Park(step.name, step.epoch, action.gone), _RECORD)
        approval = await self._runs.views.approval(run.tenant, call.approval)
        fault = fault_of_grant(approval, run, call, action, action.serves)
        if fault:
            return void(step, call, fault)
        contracts = (await self._runs.pinned(run)).contracts
        return self._judged(run, plan, step, call, action, approval, contracts)

    def _judged(
        self,
        run: Run,
        plan: Plan,
        step: Step,
        call: Call,
        action: Action,
        approval: Approval | None,
        contracts: Contracts,
    ) -> Change:
        repeat = call.state is CallState.INTENDED
        verdict = self._runs.bundle.decide(request_of(run, plan, step, action, contracts))
        if verdict.effect is VerdictKind.DENY:
            return void(step, call, "; ".join(verdict.reasons) or "policy no longer allows it")
        if verdict.effect is VerdictKind.HOLD and (approval is None or not answers(approval, verdict)):
            if repeat:
                return void(step, call, "other rules hold it now than those that were answered")
            return self._asked_again(run, step, call, action, approval, verdict)
        if repeat and not repeatable(call, action.contract, self._runs.world.now()):
            return void(step, call, f"{call.reason or _LOST}, and it may not be sent again")
        short = budget_fault(run, call, action.estimate)
        if short:
            return Change(Park(step.name, step.epoch, short), _RECORD)
        intended = replace(
            call,
            state=CallState.INTENDED,
            attempt=step.attempt,
            epoch=step.epoch,
            policies=verdict.policies,
            policy_version="" if verdict.version == run.policy_version else verdict.version,
            base=base_of(run, step, action.contract),
        )
        used_up = repeat or call.state is CallState.LOST
        intended = repeated(intended, call) if repeat else intended
        moved = () if used_up or approval is None else (consumption(approval),)
        return Change(Journal(intended), _RECORD, Extra(moved_approvals=moved))

    def _asked_again(
        self, run: Run, step: Step, call: Call, action: Action, approval: Approval | None, verdict: Verdict
    ) -> Change:
        """Other rules hold the action now: the old answer is void, and people are asked anew."""
        new = replace(
            call,
            policies=verdict.policies,
            policy_version="" if verdict.version == run.policy_version else verdict.version,
            epoch=step.epoch,
            attempt=step.attempt,
        )
        change, _ = request_approval(self._runs.world, run, step, action, new, verdict)
        if approval is None or approval.state is not ApprovalState.APPROVED:
            return change
        reason = "other rules hold this action now; people are asked again"
        taken = replace(approval, state=ApprovalState.WITHDRAWN, reason=reason)
        move = MoveApproval(ApprovalState.APPROVED, taken, unexpired=False)
        return replace(change, extra=replace(change.extra, moved_approvals=(move,)))

    async def _overtaken(self, tenant: str, run_id: str, step_name: str, epoch: int, session: str) -> None:
        """The grant could not be used up: it expired, or another took it; the step goes on with the refusal."""

        async def consider(run: Run, plan: Plan) -> Change | None:
            step = held(run, step_name, epoch, session)
            call = run.calls[step.call]
            approval = await self._runs.views.approval(tenant, call.approval)
            if approval is None or approval.state is not ApprovalState.APPROVED:
                return void(step, call, f"the approval {call.approval} was used or taken back")
            expired = replace(approval, state=ApprovalState.EXPIRED, decided_at=self._runs.world.now())
            change = void(step, call, "the grant expired before it was used", ErrorCategory.REJECTED)
            move = MoveApproval(ApprovalState.APPROVED, expired, unexpired=False)
            return replace(change, extra=replace(change.extra, moved_approvals=(move,)))

        await self._runs.change(tenant, run_id, consider)


def void(step: Step, call: Call, reason: str, category: ErrorCategory = ErrorCategory.DENIED) -> Change:
    """Take a grant back. A write that was under way by then has an unknown outcome; else it never happens."""
    if call.state is CallState.INTENDED:
        unknown = replace(call, state=CallState.UNKNOWN, epoch=step.epoch, reason=reason)
        return Change(Journal(unknown), _RECORD)
    refused = replace(call, state=CallState.REFUSED, category=category, reason=reason, epoch=step.epoch)
    return Change(Journal(refused), _RECORD, Extra(payload={"outcome": None}))
