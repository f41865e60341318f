"""Submitting: an intent is checked as far as can be without an agent, then becomes a run."""

from typing import Any

import msgspec

from bailiwick.base import Digest, Instant, Refusal, digest_of, format_instant, parse_instant
from bailiwick.budget import parse_usd
from bailiwick.contract import validator_for
from bailiwick.plan import Plan, compile_workflow
from bailiwick.policy import Permission, Principal, VerdictKind, require
from bailiwick.ports import GuardFailed, Ledger, Submission, World
from bailiwick.run import EDITION, Admission, Created, Offer, Run, StepStatus, own_brief
from bailiwick.service.core.catalogue import AppEntry, Catalogue
from bailiwick.service.core.changes import Extra, Record, record_of
from bailiwick.service.core.pinned import pins_of
from bailiwick.service.core.refusals import (
    DeadlineExpired,
    InvalidIntent,
    KeyReused,
    NotFound,
    PlannerRequired,
    PolicyDenied,
    StartsRefused,
)
from bailiwick.service.core.refusing import INTENT, Governed, governed
from bailiwick.service.core.runs import Runs
from bailiwick.service.core.starting import ONLY, submission_of
from bailiwick.service.core.turns import MAX_PRIORITY, NORMAL, Lane
from bailiwick.service.gate.halts import Halts
from bailiwick.service.gate.storage import Storage
from bailiwick.service.hands.sessions import Held, Sessions
from bailiwick.service.people.admitting import Admitting
from bailiwick.service.people.budgets import Budgets, ScopeExhausted
from bailiwick.service.people.intents import IntentRequest, bounded
from bailiwick.service.people.keyring import Keyring

DEFAULT_DEADLINE_SECONDS = 3600
MAX_DEADLINE_SECONDS = 90 * 86_400
ENVIRONMENT = ("region", "scope")
SINGLE = ("pool", "sandbox")
MAX_ENVIRONMENT_LABEL = 64
_MICROSECONDS = 1_000_000
_MAX_TAKES = 4


class Submitting(Governed):
    """Turns intents into runs, once per idempotency key."""

    def __init__(
        self,
        *,
        runs: Runs,
        ledger: Ledger,
        catalogue: Catalogue,
        sessions: Sessions,
        halts: Halts,
        budgets: Budgets,
        keyring: Keyring,
        admitting: Admitting,
        storage: Storage,
        world: World,
        planners: tuple[str, ...] = (),
    ) -> None:
        self._keyring = keyring
        self._runs = runs
        self._budgets = budgets
        self._admitting = admitting
        self._storage = storage
        self._sessions = sessions
        self._halts = halts
        self._ledger = ledger
        self._catalogue = catalogue
        self._world = world
        self._planners = planners

    @governed("runs.submit")
    async def submit(
        self, principal: Principal, intent: IntentRequest, *, key: str = "", traceparent: str = ""
    ) -> Run:
        """Create a run, or find the one that this key created.

        Raises:
            Forbidden: The role does not include submitting.
            TextTooLong, TooMany, InputTooLarge, InvalidIntent, InvalidBudget, DeadlineExpired, PlanRefused, UnknownConstraint, NotFound,
            PolicyDenied: The intent is refused; nothing but the refusal was written.
            TenantDisabled: Nothing of the tenant begins.
            StartsRefused: What a run leaves behind could not be stored now.
            KeyReused: The key came with another request before.
            ScopeExhausted: A shared budget holds less than the intent asks for.
            RunsLimit, BytesLimit, Overloaded: Nothing more is taken on now; a repeat of what was accepted is answered all the same.
        """
        require(principal, Permission.RUNS_SUBMIT)
        self._keyring.require_enabled(principal.tenant)
        fingerprint = digest_of(bounded(intent))
        if key:
            earlier = await self._earlier(principal.tenant, key, fingerprint)
            if earlier is not None:
                return earlier
        if trouble := self._runs.blobs.trouble:
            raise StartsRefused(trouble)
        if full := await self._storage.fault(principal.tenant):
            raise full
        await self._admitting.look(principal.tenant, principal.name)
        with self._admitting.one(principal.tenant, principal.name, intent.app, intent.priority):
            return await self._taken_on(principal, intent, key, fingerprint, traceparent)

    async def _taken_on(
        self, principal: Principal, intent: IntentRequest, key: str, fingerprint: Digest, traceparent: str
    ) -> Run:
        app = self._catalogue.app(principal.tenant, intent.app)
        check_environment(intent.environment)
        check_priority(intent.priority)
        plan = self._compile(app, intent)
        if not plan.planner and demands_planner(self._planners, principal.tenant, intent.app):
            raise PlannerRequired(intent.app, intent.workflow)
        opening = self._opening(principal, intent, plan, app, traceparent)
        opening = msgspec.structs.replace(
            opening, admission=await self._admitted(principal, intent, opening, plan)
        )
        submission = Submission(principal.tenant, key, fingerprint, opening.run) if key else None
        payload = {"intent": self._recorded(intent)} | ({} if plan.planner else {"brief": own_brief(plan)})
        extra = Extra(payload=payload, submission=submission)
        record = record_of(principal, cause=f"key:{key}" if key else "")
        for attempt in range(_MAX_TAKES):
            try:
                funded = await self._funded(opening)
            except ScopeExhausted as exhausted:
                # The same key may have taken what was left: then that run is the answer.
                earlier = await self._earlier(principal.tenant, key, fingerprint) if key else None
                if earlier is not None:
                    return earlier
                names = ("scope", "name", "period", "left", "asked")
                facts = {name: exhausted.facts[name] for name in names}
                await self._refuse(principal, intent, exhausted, facts)
                raise
            try:
                return await self._open(funded, plan, extra, record)
            except GuardFailed as failed:
                earlier = await self._earlier(principal.tenant, key, fingerprint) if key else None
                if earlier is not None:
                    return earlier
                # Another run was faster: what is left of the budget has to be looked at again.
                if failed.facts["guard"] != "budget" or attempt + 1 == _MAX_TAKES:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _funded(self, opening: Created) -> Created:
        """Name the shared budgets that the run takes its allotment from."""
        funds = await self._budgets.funds(
            opening.tenant, app=opening.app, feature=opening.feature, amount=opening.allotment
        )
        return msgspec.structs.replace(opening, funds=funds)

    async def _open(self, opening: Created, plan: Plan, extra: Extra, record: Record) -> Run:
        """Create the run; an idle worker of this process takes its first step in the same unit."""
        lane = Lane(opening.tenant, opening.app, NORMAL + opening.priority)
        idle = self._sessions.reserve(lane) if not self._halts.any_active() else None
        if idle is None:
            return await self._runs.open(opening, plan, extra, record=record)
        taken: Held | None = None
        try:
            offer = Offer(idle.id, idle.keys)
            run = await self._runs.open(opening, plan, extra, record=record, offer=offer)
            for step in run.steps.values():
                if step.session == idle.id and step.status is StepStatus.RUNNING:
                    taken = Held(run.tenant, run.id, step.name, step.epoch)
                    self._sessions.turns.serve(lane)
            return run
        finally:
            self._sessions.give(idle, opening.tenant, taken)

    async def _earlier(self, tenant: str, key: str, fingerprint: Digest) -> Run | None:
        known = await self._ledger.submission(tenant, key)
        if known is None:
            return None
        if known.fingerprint != fingerprint:
            raise KeyReused(key, known.run)
        return (await self._runs.entry(tenant, known.run)).run

    def _compile(self, app: AppEntry, intent: IntentRequest) -> Plan:
        workflow = app.workflows.get(intent.workflow)
        if workflow is None:
            raise NotFound("workflow", intent.workflow)
        if workflow.input:
            errors = validator_for(workflow.input).errors(intent.input)
            if errors:
                listed = [{"pointer": f"/input{error.pointer}", "detail": error.detail} for error in errors]
                raise InvalidIntent(listed[0]["pointer"], listed[0]["detail"], errors=listed)
        return compile_workflow(
            workflow,
            app.contracts.versions,
            app.rules,
            intent.constraints,
            objective=intent.title,
            budget_micro_usd=parse_usd(intent.budget_usd),
        )

    def _opening(
        self, principal: Principal, intent: IntentRequest, plan: Plan, app: AppEntry, traceparent: str
    ) -> Created:
        now = self._world.now()
        return Created(
            run=self._world.new_id("run"),
            tenant=principal.tenant,
            app=intent.app,
            workflow=f"{plan.name}@{plan.version}",
            title=intent.title or plan.objective or plan.name,
            requested_by=principal.name,
            plan=plan.digest,
            policy_version=self._runs.bundle.version,
            allotment=parse_usd(intent.budget_usd),
            created_at=now,
            deadline=self._deadline(intent, now),
            feature=intent.labels.get("feature", ""),
            team=intent.labels.get("team", ""),
            trace=traceparent or self._new_trace(),
            pins=pins_of(plan, app),
            environment=intent.environment,
            catalogue=app.contracts.digest,
            edition=EDITION,
            priority=intent.priority,
        )

    def _deadline(self, intent: IntentRequest, now: Instant) -> Instant:
        if intent.deadline:
            deadline = parse_instant(intent.deadline)
        else:
            # However long ago it was, it has to stay an instant that can be shown.
            seconds = max(intent.deadline_seconds or DEFAULT_DEADLINE_SECONDS, -MAX_DEADLINE_SECONDS)
            deadline = Instant(now + seconds * _MICROSECONDS)
        if deadline <= now:
            raise DeadlineExpired(format_instant(deadline), format_instant(now))
        if deadline > now + MAX_DEADLINE_SECONDS * _MICROSECONDS:
            raise InvalidIntent("/deadline", "at most 90 days from now")
        return deadline

    async def _admitted(
        self, principal: Principal, intent: IntentRequest, opening: Created, plan: Plan
    ) -> Admission:
        """Ask policy, and say as whom it knew the principal: the verdict is given again by that."""
        question = submission_of(principal, opening, plan)
        verdict = self._runs.bundle.decide(question)
        if verdict.effect is not VerdictKind.ALLOW:
            why = {"policies": list(verdict.policies), "policy_version": verdict.version}
            denied = PolicyDenied(verdict.policies, verdict.reasons, verdict.version)
            await self._refuse(principal, intent, denied, why)
            raise denied
        return Admission(principal.id, principal.role or "", principal.groups, verdict.policies)

    async def _refuse(
        self, principal: Principal, intent: IntentRequest, refusal: Refusal, why: dict[str, Any]
    ) -> None:
        """Record the refusal of an intent that was well-formed."""
        if self.refusing is not None:
            tried = {"app": intent.app, "workflow": intent.workflow, "intent": self._recorded(intent)}
            named = {"app": intent.app, "workflow": intent.workflow}
            await self.refusing.note(principal, "runs.submit", refusal, tried, kind=INTENT, **named, **why)

    def _new_trace(self) -> str:
        """Begin a W3C trace (Trace Context level 2: sampled, random id)."""
        return f"00-{self._world.salt().hex()}-{self._world.salt().hex()[:16]}-03"

    def _recorded(self, intent: IntentRequest) -> dict[str, Any]:
        return {
            "title": intent.title,
            "input": intent.input,
            "constraints": list(intent.constraints),
            "labels": intent.labels,
        }


def demands_planner(planners: tuple[str, ...], tenant: str, app: str) -> bool:
    """Whether every workflow of an app must name a planner: the setting names the app, its tenant, or both."""
    return not {app, f"{tenant}/{app}", f"{tenant}/*", "*"}.isdisjoint(planners)


def check_environment(environment: dict[str, str]) -> None:
    """Take the parts of an environment that a single deployment can honour: labels that policy reads.

    Raises:
        InvalidIntent: Another part is named; of pools and sandbox profiles there is one each so far.
    """
    for name, value in environment.items():
        if name in SINGLE and value != ONLY:
            raise InvalidIntent(f"/environment/{name}", f"this deployment has one, called {ONLY!r}")
        if name not in (*ENVIRONMENT, *SINGLE) or len(value) > MAX_ENVIRONMENT_LABEL:
            raise InvalidIntent(
                f"/environment/{name}", f"one of {', '.join(ENVIRONMENT)}, at most 64 characters"
            )


def check_priority(priority: int) -> None:
    """Bound a priority.

    Raises:
        InvalidIntent: It is out of bounds.
    """
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise InvalidIntent("/priority", f"a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
