"""Reading: a run in detail, its events in words that people and programs read, its cost, its artifacts."""

from typing import Any

import msgspec

from bailiwick.base import Digest, Instant, Json, canonical, digest_of, format_instant, parse_canonical
from bailiwick.contract import ProbeAnswer, form_of
from bailiwick.plan import Plan
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Ledger, Posting, RunHead, Spending, StoredEvent, Views
from bailiwick.run import PLAN, Call, CallState, Created, Run, Step, decode_event, waits_for_probe
from bailiwick.service.core.breaks import Breaks
from bailiwick.service.core.lineage import cause_in, shown_lineage
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.refusing import INTENT, KIND
from bailiwick.service.core.runs import Runs
from bailiwick.service.people.ways import Way, ways_out

MAX_PAGE = 500


class Probed(msgspec.Struct, frozen=True):
    """What is known of the probe of an action: which tool, how often it was asked, when next (0: not), what it said.

    `output` is what it says that the action answered, `event` the event that holds all of it.
    """

    capability: str
    asked: int
    due_at: Instant
    answer: str
    reference: str
    output: Json
    event: str


class Question(msgspec.Struct, frozen=True):
    """What a person must find out: whether an action happened, and what is known of it.

    `arguments` are those of the stored bytes, None when these were erased; before `quarantine_until` only
    "it happened" can be known. `evidence` are the facts on record, in words. `form` is what it would have answered,
    to be filled in, None where the tool is offered no more.
    """

    text: str
    call: Call
    arguments: Json
    evidence: tuple[str, ...]
    form: Json = None
    probe: Probed | None = None


class RunDetail(msgspec.Struct, frozen=True):
    """A run with its steps, actions and plan. `output` is the last step's, `brief` the accepted one.

    `ways` are the commands that help it on; `erased` names those of intent, brief and output that are None because they
    were erased. `broken` says why nothing of the tenant changes: its log was changed behind the platform's back.
    `cause` is what led to the last event, `state` the digest of the state, which a replay gives as well.
    """

    head: RunHead
    run: Run
    plan: Plan
    intent: Json
    brief: Json
    output: Json
    questions: tuple[Question, ...] = ()
    erased: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    broken: str = ""
    cause: str = ""
    state: str = ""


class Reading:
    """Answers questions about what is recorded; each for one tenant."""

    def __init__(self, *, runs: Runs, ledger: Ledger, views: Views, breaks: Breaks) -> None:
        self._runs = runs
        self._ledger = ledger
        self._views = views
        self._breaks = breaks

    async def runs(
        self, principal: Principal, *, status: str = "", app: str = "", before: str = "", limit: int = 50
    ) -> list[RunHead]:
        """List runs, newest first."""
        require(principal, Permission.RUNS_READ)
        limit = max(1, min(limit, MAX_PAGE))
        found = await self._views.runs(principal.tenant, status=status, app=app, before=before, limit=limit)
        return [head for head in found if await self._ledger.owns(principal.tenant, head.id)]

    async def head(self, principal: Principal, run: str) -> RunHead:
        """Find a run's head.

        Raises:
            NotFound: The tenant has no such run.
        """
        require(principal, Permission.RUNS_READ)
        head = await self._views.run(principal.tenant, run)
        if head is None or not await self._ledger.owns(principal.tenant, run):
            raise NotFound("run", run)
        return head

    async def detail(self, principal: Principal, run: str) -> RunDetail:
        """Describe a run."""
        head = await self.head(principal, run)
        entry = await self._runs.entry(principal.tenant, run, least=head.version)
        state = entry.run
        intent = await self._runs.payload(principal.tenant, run, 1)
        brief = await self._output(state, "$plan")
        top = entry.plan.children("")
        output = await self._output(state, top[-1].id) if top else None
        asked = intent["intent"] if intent else None
        questions = tuple([await self._question(state, call) for call in _unknown(state)])
        last = top[-1].id if top else ""
        recorded = {
            "intent": (intent, True),
            "brief": (brief, _has_output(state, "$plan")),
            "output": (output, _has_output(state, last)),
        }
        erased = tuple(name for name, (value, there) in recorded.items() if there and value is None)
        known = {
            question.call.key: question.probe.output
            for question in questions
            if question.probe is not None and question.probe.output is not None
        }
        ways = ways_out(state, entry.plan, {**await self._forms(state), **known})
        broken = self._breaks.concerning(principal.tenant)
        told = broken.message if broken is not None else ""
        (newest,) = await self._ledger.events(principal.tenant, run, state.version - 1, 1)
        cause = cause_in(parse_canonical(newest.header), run)
        digest = digest_of(canonical(msgspec.to_builtins(state)))
        return RunDetail(
            head, state, entry.plan, asked, brief, output, questions, erased, ways, told, cause, digest
        )

    async def _forms(self, run: Run) -> dict[str, Json]:
        """Find what the actions would have answered of which it is not known."""
        lacking = (call for call in run.calls.values() if call.unanswered or call.state is CallState.UNKNOWN)
        return {call.key: await self._form(run, call) for call in lacking}

    async def _form(self, run: Run, call: Call) -> Json:
        try:
            return form_of((await self._runs.contract(run, call.capability)).output)
        except NotFound:
            return None

    async def _question(self, run: Run, call: Call) -> Question:
        payload = await self._runs.payload(run.tenant, run.id, call.action_seq)
        arguments = payload["action"]["arguments"] if payload else None
        sent = format_instant(call.dispatched_at)
        text = f"Did {call.capability} of step {call.step}, sent at {sent}, happen?"
        evidence: tuple[str, ...] = (
            f"dispatched {call.tries} time(s), last at {sent}, action in event {run.id}.{call.action_seq}",
            call.reason or "no answer was recorded before its worker was lost",
        )
        probe = await self._probed(run, call) if call.probe else None
        if probe is not None:
            evidence += (_told_of(probe),)
        return Question(text, call, arguments, evidence, await self._form(run, call), probe)

    async def _probed(self, run: Run, call: Call) -> Probed:
        outcome: Json = None
        if call.answer_seq:
            payload = await self._runs.payload(run.tenant, run.id, call.answer_seq)
            outcome = payload.get("outcome") if payload else None
        said = outcome if isinstance(outcome, dict) and call.answer != ProbeAnswer.CANNOT_TELL else {}
        step = run.steps[call.step]
        waits = step.wait is not None and waits_for_probe(step) and step.wait.ref == call.key
        return Probed(
            capability=call.probe,
            asked=call.probed,
            due_at=step.wait.until if step.wait is not None and waits else Instant(0),
            answer=call.answer,
            reference=str(said.get("reference", "")),
            output=said.get("output") if call.answer == ProbeAnswer.APPLIED else None,
            event=f"{run.id}.{call.answer_seq}" if call.answer_seq else "",
        )

    async def output(self, principal: Principal, run: str, step: str) -> Json:
        """Read a step's recorded output; None when it has none."""
        head = await self.head(principal, run)
        entry = await self._runs.entry(principal.tenant, run, least=head.version)
        return await self._output(entry.run, step)

    async def _output(self, run: Run, name: str) -> Json:
        step = run.steps.get(name)
        if step is None or not step.output_seq:
            return await self._own_brief(run) if _is_own_brief(step) else None
        payload = await self._runs.payload(run.tenant, run.id, step.output_seq)
        return payload["output"] if payload else None

    async def _own_brief(self, run: Run) -> Json:
        """Read the brief that the workflow's own text made, from the event that opened the run."""
        payload = await self._runs.payload(run.tenant, run.id, 1)
        return payload.get("brief") if payload else None

    async def events(
        self, principal: Principal, run: str, *, after: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """List a run's events with seq > `after`, in order, with their payloads."""
        require(principal, Permission.RUNS_READ)
        stored = await self._ledger.events(principal.tenant, run, after, max(1, min(limit, MAX_PAGE)))
        if not stored and after == 0:
            await self.head(principal, run)
        if not stored:
            return []
        first = stored if stored[0].seq == 1 else await self._ledger.events(principal.tenant, run, 0, 1)
        opening = decode_event(first[0].header)
        assert isinstance(opening, Created), "a run begins with its opening"
        views = [event_view(event) for event in stored]
        return [view | shown_lineage(view, opening) for view in views]

    async def event(self, principal: Principal, run: str, seq: int) -> StoredEvent:
        """Read one stored event.

        Raises:
            NotFound: There is none.
        """
        require(principal, Permission.AUDIT_READ)
        found = await self._ledger.events(principal.tenant, run, seq - 1, 1)
        if not found or found[0].seq != seq:
            raise NotFound("event", f"{run}.{seq}")
        return found[0]

    async def refusals(
        self, principal: Principal, *, after: int = 0, limit: int = 100
    ) -> tuple[list[dict[str, Any]], int]:
        """List what the tenant's people and programs asked for and were refused, oldest first.

        Returns:
            The events after `after`, and the number after which to go on; it stays when there is nothing newer.
        """
        require(principal, Permission.AUDIT_READ)
        stream = f"tenant:{principal.tenant}"
        found: list[dict[str, Any]] = []
        most = max(1, min(limit, MAX_PAGE))
        while len(found) < most:
            page = await self._ledger.events(principal.tenant, stream, after, MAX_PAGE)
            for stored in page:
                event = event_view(stored)
                after = stored.seq
                found += [event] if event["kind"] in (KIND, INTENT) else []
                if len(found) == most:
                    break
            if len(page) < MAX_PAGE:
                break
        return found, after

    async def cost(
        self, principal: Principal, run: str, *, limit: int = MAX_PAGE, after: tuple[int, str] = (0, "")
    ) -> list[Posting]:
        """List a run's lines of the cost ledger, oldest first, those after one (its instant and id)."""
        require(principal, Permission.COST_READ)
        await self.head(principal, run)
        return list(await self._views.postings(principal.tenant, run, limit=limit, after=after))

    async def costs(self, principal: Principal, run: str) -> list[Spending]:
        """Sum a run's cost up, by role."""
        require(principal, Permission.COST_READ)
        return list(await self._views.costs(principal.tenant, run))

    async def artifact(self, principal: Principal, digest: str) -> bytes:
        """Read an artifact of the tenant.

        Raises:
            NotFound: The tenant has none of this name.
        """
        require(principal, Permission.ARTIFACTS_READ)
        body = await self._runs.blobs.get(principal.tenant, Digest(digest)) if len(digest) == 64 else None
        if body is None:
            raise NotFound("artifact", digest)
        return body


def _told_of(probe: Probed) -> str:
    found = f", reference {probe.reference}" if probe.reference else ""
    due = f"; asked next at {format_instant(probe.due_at)}" if probe.due_at else ""
    if not probe.asked:
        return f"its probe {probe.capability} is not asked before the quarantine is over{due}"
    if not probe.answer:
        return f"its probe {probe.capability} was asked {probe.asked} time(s), and has not answered{due}"
    return f"its probe {probe.capability} says: {probe.answer}{found} (event {probe.event}){due}"


def _is_own_brief(step: Step | None) -> bool:
    return step is not None and step.name == PLAN and bool(step.output_digest) and not step.output_seq


def _has_output(run: Run, name: str) -> bool:
    step = run.steps.get(name)
    return step is not None and (step.output_seq > 0 or _is_own_brief(step))


def _unknown(run: Run) -> list[Call]:
    calls = (run.calls[key] for key in run.tally.open_calls)
    return [call for call in calls if call.state is CallState.UNKNOWN]


def event_view(event: StoredEvent) -> dict[str, Any]:
    """Show an event: its header's fields, its id, and its payload beside them."""
    view: dict[str, Any] = parse_canonical(event.header)
    view["id"] = f"{event.stream}.{event.seq}"
    view["leaf"] = event.leaf.hex()
    view["commitment"] = view.pop("payload", None)
    view["payload"] = parse_canonical(event.payload) if event.payload is not None else None
    # An act of erasure has a field of this name, but it is of the tenant's stream, which no view shows.
    view["erased"] = event.payload is None and view["commitment"] is not None
    return view
