"""Control: cancel, resume, resolve and roll back; each a named act of a person, recorded as such."""

from bailiwick.base import Json, canonical, digest_of, parse_canonical
from bailiwick.contract import form_of, validator_for
from bailiwick.plan import Plan
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import GuardFailed
from bailiwick.run import Call, CallState, Cancel, Choose, Resolve, Resume, Rollback, Run
from bailiwick.service.core.bounds import MAX_NAME, MAX_REASON, within
from bailiwick.service.core.changes import Change, Extra, record_of
from bailiwick.service.core.merging import read_tree
from bailiwick.service.core.refusals import ContentsErased, EvidenceUnfit, NoSuchWorkspace, ReasonMissing
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.core.runs import Runs
from bailiwick.service.people.budgets import Budgets

_MAX_TAKES = 4
_PAGE = 200


class Control(Governed):
    """Named acts on a run."""

    def __init__(self, *, runs: Runs, budgets: Budgets) -> None:
        self._runs = runs
        self._budgets = budgets

    @governed("runs.cancel")
    async def cancel(self, principal: Principal, run: str, reason: str = "") -> Run:
        """Ask a run to end; it is canceled once nothing of it runs.

        Raises:
            NotAllowed: The run has ended already.
        """
        require(principal, Permission.RUNS_CANCEL)
        within(MAX_REASON, reason=reason)
        return await self._act(principal, run, Cancel(principal.name, reason))

    @governed("runs.resume")
    async def resume(self, principal: Principal, run: str, *, step: str = "", add_micro_usd: int = 0) -> Run:
        """Let blocked steps go on, with more money if given.

        Raises:
            NotAllowed: Nothing is blocked.
            OutcomeUnknown: An action's outcome must be resolved first.
            ScopeExhausted: A shared budget holds less than is to be added.
        """
        require(principal, Permission.RUNS_RESUME)
        within(MAX_NAME, step=step)
        if add_micro_usd <= 0:
            return await self._act(principal, run, Resume(principal.name, step, add_micro_usd))
        for attempt in range(_MAX_TAKES):
            state = (await self._runs.entry(principal.tenant, run)).run
            funds = await self._budgets.funds(
                state.tenant, app=state.app, feature=state.feature, amount=add_micro_usd
            )
            try:
                return await self._act(principal, run, Resume(principal.name, step, add_micro_usd, funds))
            except GuardFailed as failed:
                if failed.facts["guard"] != "budget" or attempt + 1 == _MAX_TAKES:
                    raise
        raise AssertionError("the loop returns or raises")

    @governed("runs.resolve")
    async def resolve(
        self,
        principal: Principal,
        run: str,
        key: str,
        *,
        done: bool,
        output: Json = None,
        reference: str = "",
        reason: str = "",
        despite_quarantine: bool = False,
    ) -> Run:
        """Say what became of an action whose outcome is unknown; the run goes on with that.

        `output` is what it answered, held to its contract before anything is recorded, and `reference` what it is found
        by at the other side. Without an output it is done, and only who reads its answer fails; the answer may be
        said later in the same way.

        Of all who say so at once, one is heard. That it happened may be said at any time, that it never did
        after its quarantine; before, only knowingly (`despite_quarantine`) and with a reason, which is recorded.
        `key` may also be the step of a blocked compensation (`pay~undo`), which was then done by hand.

        Raises:
            NoSuchAction, NotAllowed: There is no such action, or its outcome is known.
            InQuarantine: It may still happen.
            ReasonMissing: The quarantine is set aside without a word why.
            EvidenceUnfit: The output is not what the contract promises.
        """
        require(principal, Permission.RUNS_RESOLVE)
        output = output if done else None
        within(MAX_REASON, reason=reason, reference=reference)
        if despite_quarantine and not reason.strip():
            raise ReasonMissing("setting a quarantine aside")
        state = CallState.DONE if done else CallState.FAILED
        said = reason or f"{principal.name} says that it {'happened' if done else 'never happened'}"
        if despite_quarantine:
            said = f"despite its quarantine: {said}"
        command = Resolve(
            key,
            principal.name,
            state,
            digest_of(canonical(output)) if output is not None else "",
            said,
            despite=despite_quarantine,
        )

        async def consider(state: Run, plan: Plan) -> Change | None:
            call = state.calls.get(key)
            if output is not None and call is not None:
                await self._hold_to_contract(state, call, output)
            payload: dict[str, Json] = {"outcome": output}
            if reference:
                payload["reference"] = reference
            if output is not None and call is not None and call.unanswered:
                payload["output"] = output
            return Change(command, record_of(principal), Extra(payload=payload))

        _, after = await self._runs.change(principal.tenant, run, consider)
        return after

    async def _hold_to_contract(self, run: Run, call: Call, output: Json) -> None:
        contract = await self._runs.contract(run, call.capability)
        errors = validator_for(contract.output).errors(output)
        if errors:
            told = [{"pointer": error.pointer, "detail": error.detail} for error in errors]
            raise EvidenceUnfit(contract.ref, told, form_of(contract.output))

    @governed("runs.choose")
    async def choose(
        self, principal: Principal, run: str, step: str, *, take: str = "", tree: str = ""
    ) -> Run:
        """Choose the workspace of a joining step in conflict; the step goes on with it.

        Args:
            principal: Who chooses.
            run: The run.
            step: The joining step; a block or loop at its end, or `$end` for the run's.
            take: A step of the conflict: what it left is taken.
            tree: Instead, the digest of a stored workspace.

        Raises:
            NotAllowed: The step is in no conflict.
            NotOfTheConflict: The step to take from has no part in it.
            NoSuchWorkspace: The digest names none of this tenant, or neither or both are given.
        """
        require(principal, Permission.RUNS_RESOLVE)
        within(MAX_NAME, step=step, take=take)
        if bool(take) == bool(tree) or (
            tree and await read_tree(self._runs.blobs, principal.tenant, tree) is None
        ):
            raise NoSuchWorkspace(tree)
        return await self._act(principal, run, Choose(step, principal.name, tree, take))

    @governed("runs.rollback")
    async def roll_back(self, principal: Principal, run: str, reason: str) -> Run:
        """Have what a run did undone, the last first; it ends as rolled back, or blocked with what could not be undone.

        Raises:
            NotAllowed: It is on its way still, or was rolled back already.
            PastPivot: It has passed its point of no return.
            OutcomeUnknown: Whether it has is not known yet.
            ContentsErased: What it recorded was erased, all or in part.
        """
        require(principal, Permission.RUNS_ROLLBACK)
        within(MAX_REASON, reason=reason)
        await self._refuse_erased(principal.tenant, run)
        return await self._act(principal, run, Rollback(principal.name, reason))

    async def _refuse_erased(self, tenant: str, run: str) -> None:
        """Compensations are made of what was recorded: one that cannot be made is not begun."""
        after = 0
        while page := await self._runs.ledger.events(tenant, run, after, _PAGE):
            for event in page:
                if event.payload is None and "payload" in parse_canonical(event.header):
                    raise ContentsErased(f"{run}.{event.seq}", "a rollback")
            after = page[-1].seq

    async def _act(
        self,
        principal: Principal,
        run: str,
        command: Cancel | Resume | Choose | Rollback,
    ) -> Run:
        async def consider(state: Run, plan: Plan) -> Change | None:
            return Change(command, record_of(principal))

        _, after = await self._runs.change(principal.tenant, run, consider)
        return after
