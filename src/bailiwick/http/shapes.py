"""Shapes: how runs, money and instants look in JSON, and how they come from what is recorded."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bailiwick.base import Instant, Json, format_instant
from bailiwick.budget import format_usd
from bailiwick.ports import Posting, RunHead, Spending
from bailiwick.run import TERMINAL, Call, Run, Step, end_of
from bailiwick.service import Erased, Probed, Question, RunDetail


class Money(msgspec.Struct, frozen=True):
    """An amount: whole micro-USD for programs, the same as decimal text for people."""

    micro_usd: int
    usd: str


class Budget(msgspec.Struct, frozen=True):
    """What a run may spend, what is reserved for calls in flight, what is spent and what is left."""

    limit: Money
    reserved: Money
    spent: Money
    remaining: Money


class Labels(msgspec.Struct, frozen=True):
    """What costs are summed by."""

    feature: str
    team: str


class RunView(msgspec.Struct, frozen=True):
    """A run in a list. Instants are RFC 3339 in UTC; `version` is the number of its events."""

    id: str
    app: str
    workflow: str
    title: str
    status: str
    version: int
    requested_by: str
    labels: Labels
    created_at: str
    updated_at: str
    deadline: str
    budget: Budget
    waiting_for: str
    reason: str


class RunPage(msgspec.Struct, frozen=True):
    """A page of runs, newest first; `next_cursor` is empty on the last one."""

    runs: list[RunView]
    next_cursor: str


class Submitted(msgspec.Struct, frozen=True):
    """What was accepted. Nothing in it ever changes, so a repeated request is answered with the same bytes."""

    id: str
    app: str
    workflow: str
    title: str
    requested_by: str
    labels: Labels
    created_at: str
    deadline: str
    trace_id: str
    url: str
    events_url: str


class StepView(msgspec.Struct, frozen=True):
    """One step instance; `since` is when it came into its status, `waits_for` a reference to what ends its wait.

    `stands` is why it stands, and `stands_on` what that is about (a halt, an approval, a capability); empty while it does not.
    `tree` is the workspace that it has come to, `joined` names the steps whose workspaces were merged for it, or are
    in conflict.
    """

    name: str
    status: str
    attempt: int
    since: str
    session: str
    wait: str
    waits_for: str
    waits_until: str
    category: str
    reason: str
    stands: str
    stands_on: str
    output_digest: str
    tree: str
    joined: list[str]


class ActionView(msgspec.Struct, frozen=True):
    """One action of the journal; `key` is what `:resolve` takes."""

    key: str
    step: str
    attempt: int
    capability: str
    effect: str
    state: str
    digest: str
    policies: list[str]
    policy_version: str
    approval: str
    reserved: Money
    cost: Money
    cost_estimated: bool
    tries: int
    category: str
    reason: str
    outcome_digest: str
    tree: str


class ProbeView(msgspec.Struct, frozen=True):
    """The probe of an action: how often it was asked, when it is next, and what it said (`event` holds all of it).

    `answer` is applied, not-applied, cannot-tell, or empty while it has not answered.
    """

    capability: str
    asked: int
    due_at: str
    answer: str
    reference: str
    output: Any
    event: str


class QuestionView(msgspec.Struct, frozen=True):
    """An action whose outcome is unknown: what must be found out. `key` is what `:resolve` takes.

    Until `quarantine_until` it may still take effect; `arguments` is null when they were erased. `form` is what it
    would have answered, to be filled in as the `output` of `:resolve`; null where nobody offers the tool any more.
    """

    question: str
    key: str
    step: str
    capability: str
    digest: str
    arguments: Any
    dispatched_at: str
    quarantine_until: str
    evidence: list[str]
    form: Any
    probe: ProbeView | None


class WayView(msgspec.Struct, frozen=True):
    """A command that helps a run on, as it is typed, and the case that it is for."""

    when: str
    command: str


class RunDetailView(msgspec.Struct, frozen=True):
    """All that is known of a run. `plan` is the compiled graph, `brief` the accepted one, `output` the last step's.

    `erased` names those of `intent`, `brief` and `output` that are null because their payload was erased. `broken` is
    empty, or says that the tenant is read-only: its log was changed behind the platform's back.
    """

    run: RunView
    trace_id: str
    policy_version: str
    plan_digest: str
    tree: str
    cancel_requested: str
    rollback_requested: str
    category: str
    reason: str
    intent: Any
    brief: Any
    output: Any
    plan: Any
    steps: list[StepView]
    actions: list[ActionView]
    questions: list[QuestionView]
    ways: list[WayView]
    erased: list[str]
    broken: str
    state_version: int = 0
    last_mutation_causation_id: str = ""
    payload_hash: str = ""


class ErasedView(msgspec.Struct, frozen=True):
    """Whose payload is gone (`STREAM.SEQ`), and the artifacts that are not: digests that it named, the plan, workspaces."""

    run: str
    erased: list[str]
    artifacts: list[str]


class CostLine(msgspec.Struct, frozen=True):
    """One settled call; milliseconds.

    `usage_source` is reported, estimated, capped or none. Capped: the provider claimed the `claimed_` tokens, which
    cannot have been used; the most that can have been is charged. `price` names the version of the price.
    """

    id: str
    step: str
    role: str
    action: str
    capability: str
    at: str
    cost: Money
    input_tokens: int
    output_tokens: int
    usage_source: str
    ended: str
    duration_ms: int
    first_token_ms: int
    tries: int
    interruptions: int
    price: str
    claimed_input_tokens: int
    claimed_output_tokens: int


class RoleCost(msgspec.Struct, frozen=True):
    """What one role used."""

    role: str
    calls: int
    cost: Money
    input_tokens: int
    output_tokens: int


class CostView(msgspec.Struct, frozen=True):
    """What a run cost: its budget, the sum by role, and a page of its lines, oldest first."""

    run: str
    budget: Budget
    total: Money
    by_role: list[RoleCost]
    lines: list[CostLine]
    next_cursor: str


def instant(at: int) -> str:
    """Show an instant as RFC 3339; empty for 0, which stands for none."""
    return format_instant(Instant(at)) if at else ""


def money(micro_usd: int) -> Money:
    """Show an amount."""
    return Money(micro_usd, format_usd(micro_usd))


def budget(*, limit: int, reserved: int, spent: int) -> Budget:
    """Show a budget, in micro-USD."""
    return Budget(money(limit), money(reserved), money(spent), money(max(limit - reserved - spent, 0)))


def run_view(head: RunHead) -> RunView:
    """Show a run's head: what it waits for, or once it has ended why it did."""
    ended = head.status in TERMINAL
    return RunView(
        id=head.id,
        app=head.app,
        workflow=head.workflow,
        title=head.title,
        status=head.status,
        version=head.version,
        requested_by=head.requested_by,
        labels=Labels(head.feature, head.team),
        created_at=instant(head.created_at),
        updated_at=instant(head.updated_at),
        deadline=instant(head.deadline),
        budget=budget_of(head),
        waiting_for="" if ended else head.waiting_for,
        reason=head.waiting_for if ended else "",
    )


def budget_of(head: RunHead) -> Budget:
    """Show a run's budget."""
    return budget(
        limit=head.allotment_micro_usd, reserved=head.reserved_micro_usd, spent=head.spent_micro_usd
    )


def submitted(run: Run) -> Submitted:
    """Show what was accepted."""
    return Submitted(
        id=run.id,
        app=run.app,
        workflow=run.workflow,
        title=run.title,
        requested_by=run.requested_by,
        labels=Labels(run.feature, run.team),
        created_at=instant(run.created_at),
        deadline=instant(run.deadline),
        trace_id=trace_id(run),
        url=f"/v1/runs/{run.id}",
        events_url=f"/v1/runs/{run.id}/events",
    )


def trace_id(run: Run) -> str:
    """Tell the trace that a run belongs to."""
    return run.trace.split("-")[1] if run.trace else ""


def erased_view(erased: Erased) -> ErasedView:
    """Show what was erased."""
    return ErasedView(erased.run, list(erased.erased), list(erased.artifacts))


def detail_view(detail: RunDetail) -> RunDetailView:
    """Show all of a run."""
    run = detail.run
    plan: Json = msgspec.to_builtins(detail.plan)
    return RunDetailView(
        run=run_view(detail.head),
        trace_id=trace_id(run),
        policy_version=run.policy_version,
        plan_digest=run.plan,
        tree=run.tree,
        cancel_requested=run.cancel_requested,
        rollback_requested=run.rollback_requested,
        category=run.category or "",
        reason=run.reason,
        intent=detail.intent,
        brief=detail.brief,
        output=detail.output,
        plan=plan,
        steps=[_step(step) for step in run.steps.values()],
        actions=[_action(call) for call in run.calls.values()],
        questions=[_question(question) for question in detail.questions],
        ways=[WayView(way.when, way.command) for way in detail.ways],
        erased=list(detail.erased),
        broken=detail.broken,
        state_version=detail.run.version,
        last_mutation_causation_id=detail.cause,
        payload_hash=detail.state,
    )


def _question(question: Question) -> QuestionView:
    call = question.call
    return QuestionView(
        question=question.text,
        key=call.key,
        step=call.step,
        capability=call.capability,
        digest=call.digest,
        arguments=question.arguments,
        dispatched_at=instant(call.dispatched_at),
        quarantine_until=instant(call.quarantine_until),
        evidence=list(question.evidence),
        form=question.form,
        probe=_probe(question.probe) if question.probe is not None else None,
    )


def _probe(probe: Probed) -> ProbeView:
    return ProbeView(
        capability=probe.capability,
        asked=probe.asked,
        due_at=instant(probe.due_at),
        answer=probe.answer,
        reference=probe.reference,
        output=probe.output,
        event=probe.event,
    )


def _step(step: Step) -> StepView:
    return StepView(
        name=step.name,
        status=step.status,
        attempt=step.attempt,
        since=instant(step.since),
        session=step.session,
        wait=step.wait.kind if step.wait is not None else "",
        waits_for=step.wait.ref if step.wait is not None else "",
        waits_until=instant(step.wait.until) if step.wait is not None else "",
        category=step.category or "",
        reason=step.reason,
        stands=step.stands.kind if step.stands is not None else "",
        stands_on=step.stands.ref if step.stands is not None else "",
        output_digest=step.output_digest,
        tree=end_of(step),
        joined=list(step.joined),
    )


def _action(call: Call) -> ActionView:
    return ActionView(
        key=call.key,
        step=call.step,
        attempt=call.attempt,
        capability=call.capability,
        effect=call.effect,
        state=call.state,
        digest=call.digest,
        policies=list(call.policies),
        policy_version=call.policy_version,
        approval=call.approval,
        reserved=money(call.reserved),
        cost=money(call.cost),
        cost_estimated=call.estimated,
        tries=call.tries,
        category=call.category or "",
        reason=call.reason,
        outcome_digest=call.outcome_digest,
        tree=call.tree,
    )


def cost_view(
    head: RunHead, roles: Sequence[Spending], lines: Sequence[Posting], next_cursor: str
) -> CostView:
    """Show what a run cost."""
    return CostView(
        run=head.id,
        budget=budget_of(head),
        total=money(sum(role.cost_micro_usd for role in roles)),
        by_role=[_role(role) for role in roles],
        lines=[_line(line) for line in lines],
        next_cursor=next_cursor,
    )


def _role(used: Spending) -> RoleCost:
    return RoleCost(
        role=used.role,
        calls=used.calls,
        cost=money(used.cost_micro_usd),
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
    )


def _line(line: Posting) -> CostLine:
    return CostLine(
        id=line.id,
        step=line.step,
        role=line.role,
        action=line.call,
        capability=line.capability,
        at=instant(line.at),
        cost=money(line.cost_micro_usd),
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        usage_source=line.usage_source,
        ended=line.ended,
        duration_ms=line.duration_ms,
        first_token_ms=line.first_token_ms,
        tries=line.tries,
        interruptions=line.interruptions,
        price=line.price,
        claimed_input_tokens=line.claimed_input_tokens,
        claimed_output_tokens=line.claimed_output_tokens,
    )
