"""Gathering: what the gate finds out about an action, as the command that the run rules on; it decides nothing."""

from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base import Instant, Json
from bailiwick.plan import Plan
from bailiwick.policy import Verdict, VerdictKind
from bailiwick.ports import Approval
from bailiwick.run import Call, Propose, Ruled, Ruling, Run, Step, rule
from bailiwick.service.core.catalogue import Contracts
from bailiwick.service.core.changes import Change, Extra, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.actions import Action
from bailiwick.service.gate.holding import answers, ask, terms_of
from bailiwick.service.gate.judging import request_of

FACTS = "ruling"
"""Where a payload holds the facts of a ruling that its event does not say."""

_NAMELESS = (Ruled.PARKED, Ruled.ENDING)
_SAID = ("request", "terms")


class Gathered(msgspec.Struct, frozen=True):
    """What was found out, what is ruled by it at this instant, and the request to people that a hold makes."""

    told: Propose
    ruling: Ruling
    at: Instant
    asked: Approval | None = None

    def change(self, record: Record, extra: Extra | None = None) -> Change:
        """Propose it to the run, decided as of the same instant, so that what is written is what was ruled."""
        extra = extra if extra is not None else Extra()
        facts = self._facts()
        if facts:
            extra = replace(extra, payload={**(extra.payload or {}), FACTS: facts})
        return Change(self.told, record, extra, at=self.at)

    def _facts(self) -> dict[str, Json]:
        """Write down what the event will not say: nothing of an action that policy simply lets go."""
        facts: dict[str, Any] = msgspec.to_builtins(self.told)
        said = _SAID if self.ruling.kind in _NAMELESS else (*_SAID, "call")
        return {name: value for name, value in facts.items() if name not in said}


def ruled(
    runs: Runs,
    run: Run,
    plan: Plan,
    told: Propose,
    contracts: Contracts,
    asked: Approval | None = None,
) -> Gathered:
    """Let the run rule on what was found out."""
    sight = runs.sight_of(run, plan, {}, contracts)
    sight = replace(sight, at=max(sight.at, run.updated_at))
    return Gathered(told, rule(run, plan, told, sight), sight.at, asked)


def judged(
    runs: Runs,
    run: Run,
    plan: Plan,
    step: Step,
    action: Action,
    call: Call,
    contracts: Contracts,
    *,
    reads: int = 0,
    approval: Approval | None = None,
    seq: int = 0,
) -> Gathered:
    """Ask policy about an action that nothing stops, and let the run rule on it.

    Args:
        runs: The runs of this deployment, with the policies in force.
        run: The state.
        plan: Its plan.
        step: The step that the action belongs to.
        action: The action.
        call: Its entry, without what policy says.
        contracts: What the run has pinned.
        reads: How many free reads of the step are on their way.
        approval: The request that people were asked with; a verdict that names the same rules is covered by it.
        seq: The event that holds the action's bytes, for a request to people; 0: the next one.
    """
    verdict = runs.bundle.decide(request_of(run, plan, step, action, contracts))
    version = "" if verdict.version == run.policy_version else verdict.version
    call = replace(call, policies=verdict.policies, policy_version=version)
    if verdict.effect is VerdictKind.ALLOW:
        return ruled(runs, run, plan, Propose(call, reads=reads), contracts)
    told = Propose(call, verdict.effect, _reasons(verdict, action), reads=reads)
    if verdict.effect is VerdictKind.DENY:
        return ruled(runs, run, plan, told, contracts)
    if approval is not None and answers(approval, verdict):
        return ruled(runs, run, plan, replace(told, covered=True), contracts)
    asked = ask(runs.world, run, step, action, call, verdict, seq or run.version + 1)
    told = replace(told, request=asked.id, terms=terms_of(asked, call.contract))
    return ruled(runs, run, plan, told, contracts, asked)


def _reasons(verdict: Verdict, action: Action) -> tuple[str, ...]:
    """Say why; who was not given a tool learns nothing about it."""
    hidden = bool(action.strange) and verdict.effect is VerdictKind.DENY
    return (action.strange,) if hidden else verdict.reasons
