"""Oracles: what must hold of the tables, of the outside and of what clients were told, at every instant and at the end."""

from typing import Any

import msgspec

from bailiwick.audit import leaf_hash
from bailiwick.base import parse_instant
from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.ports import ApprovalState, Dispatch
from bailiwick.run import (
    NOTED_PER_STEP,
    CallState,
    Phase,
    Run,
    Status,
    StepStatus,
    WaitKind,
    decode_event,
    evolve,
    manifest_of,
    waits_for_probe,
)
from bailiwick.run.events import AttemptRefused, CallMoved, Closed, Escalated, RollbackRequested
from bailiwick.service.core.refusing import INTENT, KIND, NOTED_PER_HOUR
from bailiwick.service.core.rows import head_row
from bailiwick.testing.simulation.database import Database
from bailiwick.testing.simulation.outside import Outside
from bailiwick.testing.simulation.people import DAN, Acks
from bailiwick.testing.simulation.shop import EXTERNAL, HELD, UNDOES, WRITES
from bailiwick.testing.simulation.turns import Turns

FORGOTTEN_SECONDS = 30.0
HALT_SECONDS = 1.0
_HOUR = 3_600_000_000
_PROCESSES = 4
_RARER = 16  # events that stand for ever more attempts each: for 65,000 of them
_PAID = (EffectClass.METERED, EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
_EXECUTED = (CallState.DONE, CallState.FAILED)
_Tasks = dict[tuple[str, str], tuple[str, int, str]]


class Violation(msgspec.Struct, frozen=True):
    """A promise that was broken: which, and the facts."""

    promise: str
    facts: str
    at: float


class Oracles:
    """Folds the log as it grows, and holds everything else to it."""

    def __init__(self, database: Database, outside: Outside) -> None:
        self._database = database
        self._outside = outside
        self._streams: dict[int, tuple[str, str]] = {}
        self._last: dict[int, tuple[int, str]] = {}
        self._pos = 0
        self.runs: dict[str, Run] = {}
        self._notes: dict[tuple[str, str], int] = {}
        self.intended: dict[str, float] = {}
        self.unknowns = 0
        self.resolved: dict[str, str] = {}
        self.quarantined: dict[str, int] = {}
        self.violations: list[Violation] = []
        self._said: set[str] = set()
        self._alone_since: dict[tuple[str, str, int], float] = {}
        self.placed: list[int] = []
        self.dispatches: list[tuple[float, Dispatch]] = []
        self.law = ""
        self.activations = 0
        self._taken: dict[str, int] = {}
        self.conflicts: dict[str, set[str]] = {}
        self.joins = 0
        self.turns = Turns()

    def say(self, promise: str, facts: str, at: float) -> None:
        """Note a violation; each is told once."""
        if f"{promise} {facts}" not in self._said and len(self.violations) < 20:
            self._said.add(f"{promise} {facts}")
            self.violations.append(Violation(promise, facts, at))

    def catch_up(self, now: float) -> None:
        """Fold what was committed since; hold each event to the one before."""
        rows = self._database.stepped.rows("events", "pos, stream, seq, header, leaf", self._pos)
        for pos, stream, seq, header, leaf in rows:
            if pos != self._pos + 1:
                self.say("P8 order", f"position {pos} follows {self._pos}", now)
            self._pos = pos
            last, prev = self._last.get(stream, (0, ""))
            sealed = msgspec.json.decode(header)
            if seq != last + 1 or sealed.get("prev", "") != prev or leaf_hash(header) != leaf:
                self.say("P8 order", f"stream {stream}: {seq} follows {last}, or the chain is broken", now)
            self._last[stream] = (seq, leaf.hex())
            if stream not in self._streams:
                streams = self._database.stepped.rows("streams", "id, tenant, name")
                self._streams = {id: (tenant, name) for id, tenant, name in streams}
            name = self._streams[stream][1]
            if sealed["kind"] == "policy.activated":
                self.activations += sealed["actor"] != "platform:start"
                self.law = sealed["version"]
            if sealed["kind"] in (KIND, INTENT):
                self._refused(name, sealed, now)
            if not name.startswith(("tenant:", "platform")):
                self._fold(name, header, sealed, now)

    def _refused(self, name: str, sealed: dict[str, Any], now: float) -> None:
        """What a key asks for and does not get cannot fill the log: so much an hour, in each process."""
        place = (name, f"{sealed.get('api_key', sealed['identity'])} {sealed['at'] // _HOUR}")
        self._notes[place] = self._notes.get(place, 0) + 1
        if self._notes[place] > _PROCESSES * (NOTED_PER_HOUR + _RARER):
            self.say(
                "P13 bounded", f"{name} {place[1]}: {self._notes[place]} events of refused requests", now
            )

    def _fold(self, name: str, header: bytes, sealed: dict[str, Any], now: float) -> None:
        before = self.runs.get(name)
        event = decode_event(header)
        run = self.runs[name] = evolve(before, event)
        if before is not None and run.updated_at < before.updated_at:
            self.say("P17 clocks", f"{name} goes back in time with {type(event).__name__}", now)
        if before is not None and before.closed is not None and not isinstance(event, RollbackRequested):
            self.say("P10 one end", f"{name} goes on after its end with {type(event).__name__}", now)
        if isinstance(event, Closed) and run.tally.unfinished:
            self.say("P3 nothing forgotten", f"{name} closed with {run.tally.unfinished} steps open", now)
        allotment = run.allotment
        if allotment.spent + allotment.reserved > allotment.limit:
            self.say("P12 budget", f"{name}: {allotment.spent}+{allotment.reserved}>{allotment.limit}", now)
        for step, now_step in run.steps.items():
            if now_step.category is ErrorCategory.CONFLICT:
                self.conflicts.setdefault(name, set()).add(now_step.reason)
            was = before.steps.get(step) if before is not None else None
            if was is not None and now_step.epoch < was.epoch:
                self.say("P5 fenced", f"{name} {step}: epoch {was.epoch} -> {now_step.epoch}", now)
        self._held(name, before, event, sealed, now)
        if isinstance(event, AttemptRefused):
            self._noted(name, event, now)
        for late in self.turns.see(before, run, event):
            self.say("P13 fair turns", late, now)
        if isinstance(event, Escalated) and before is not None:
            call = before.calls[event.key]
            if call.state is not CallState.HELD or set(call.escalated) & set(event.to):
                self.say(
                    "P11 approval", f"{name}.{run.version} escalates {call.state} {call.approval} again", now
                )
        if isinstance(event, CallMoved):
            self._journaled(name, before, event, sealed, now)

    def _noted(self, name: str, event: AttemptRefused, now: float) -> None:
        """What a step tries and does not get cannot fill the log."""
        place = (name, event.step)
        self._notes[place] = self._notes.get(place, 0) + 1
        if event.count < 1 or self._notes[place] > NOTED_PER_STEP + self._reports(name, event.step) + _RARER:
            self.say(
                "P13 bounded", f"{name} {event.step}: {self._notes[place]} events of refused attempts", now
            )

    def _reports(self, name: str, step: str) -> int:
        """How often a step may have left its holder by now."""
        return self.runs[name].steps[step].epoch

    def _held(self, name: str, before: Run | None, event: Any, sealed: dict[str, Any], now: float) -> None:
        """Whatever a worker did to a step, it held the step."""
        kind, _, session = str(sealed.get("actor", "")).partition(":")
        if kind != "worker" or before is None:
            return
        called = isinstance(event, CallMoved)
        for step in [event.call.step] if called else [move.step for move in event.moves[:1]]:
            was, after = before.steps.get(step), self.runs[name].steps[step]
            holder = was.session if was is not None else ""
            claimed = not holder and (called or after.status is not StepStatus.SUCCEEDED)
            if session not in (holder, after.session) and not claimed:
                self.say("P5 fenced", f"{name} {step} was moved by {session}, and {holder} held it", now)

    def _journaled(
        self, name: str, before: Run | None, event: CallMoved, sealed: dict[str, Any], now: float
    ) -> None:
        call = event.call
        old = before.calls.get(call.key) if before is not None else None
        if call.state is CallState.INTENDED:
            self.intended[call.key] = now
            if (
                old is not None
                and old.state is CallState.INTENDED
                and call.effect is EffectClass.EXTERNAL_ACTION
            ):
                self.say("P6 effects", f"{call.key} ({call.capability}) was dispatched again by itself", now)
        if call.state is CallState.UNKNOWN and (old is None or old.state is not CallState.UNKNOWN):
            self.unknowns += 1
        until = self.quarantined[call.key] = max(call.quarantine_until, self.quarantined.get(call.key, 0))
        if old is not None and call.probed > old.probed and event.at < until:
            self.say("P6 effects", f"{call.key} was asked after before its quarantine was over", now)
        person = str(sealed.get("actor", "")).startswith("user:")
        if old is not None and old.state is CallState.UNKNOWN and call.state is not CallState.UNKNOWN:
            probe = call.answer_seq > 0 and call.answer_seq == call.outcome_seq
            if not person and not probe:
                self.say("P6 effects", f"{call.key} was unknown and {sealed.get('actor')} closed it", now)
            if person:  # whom the oracle believes; what a probe decides must be so outside
                self.resolved[call.key] = str(call.state)
        paid = call.effect in _PAID and (call.effect is not EffectClass.METERED or call.reserved > 0)
        known = old is not None and old.state in (CallState.INTENDED, CallState.UNKNOWN)
        if paid and call.state in _EXECUTED and not known:
            self.say("P7 intent", f"{call.key} is {call.state} and was {old and old.state}", now)

    def arrived(self, tool: str, key: str, now: float) -> None:
        """Hold a request that arrived outside to the log: its intent must have been committed before."""
        if tool == "read":
            return
        self.catch_up(now)
        if key not in self.intended:
            self.say("P7 intent", f"{tool} {key} arrived, and no intent was committed", now)
        elif tool in HELD:
            calls = [run.calls[key] for run in self.runs.values() if key in run.calls]
            if not all(call.approval for call in calls):
                self.say("P11 approval", f"{tool} {key} arrived, and nobody was asked", now)

    def check_tables(self, now: float) -> None:
        """Hold every table to the fold of the log."""
        self.catch_up(now)
        rows = self._database.stepped.rows
        heads = {
            row[0]: row for row in rows("runs", "id, version, status, reserved_micro_usd, spent_micro_usd")
        }
        for id, run in self.runs.items():
            head = head_row(run)
            derived = (id, head.version, head.status, head.reserved_micro_usd, head.spent_micro_usd)
            if heads.get(id) != derived:
                self.say("P15 projection", f"{id}: {heads.get(id)} is stored, the log says {derived}", now)
        if heads.keys() - self.runs.keys():
            self.say("P15 projection", f"rows without a log: {sorted(heads.keys() - self.runs.keys())}", now)
        self._check_tasks(now)
        self._check_approvals(now)
        spent: dict[str, int] = {}
        for run_id, cost in rows("postings", "run, cost_micro_usd"):
            spent[run_id] = spent.get(run_id, 0) + cost
        for id, run in self.runs.items():
            if spent.get(id, 0) != run.allotment.spent:
                self.say("P12 budget", f"{id}: postings {spent.get(id, 0)}, spent {run.allotment.spent}", now)
        self._check_budgets(now)

    def _check_budgets(self, now: float) -> None:
        """What is taken of a shared budget is what its runs hold, and a run that is over holds what it spent."""
        held: dict[str, int] = {}
        for id, run in self.runs.items():
            own: dict[str, int] = {}
            whole: dict[str, int] = {}
            for fund in run.funds:
                own[fund.budget] = own.get(fund.budget, 0) + fund.taken - fund.returned
                whole[fund.budget] = whole.get(fund.budget, 0) + fund.taken
            for budget, amount in own.items():
                held[budget] = held.get(budget, 0) + amount
                # A run that began before the budget was set holds a part of what it spent.
                all_of_it = whole[budget] == run.allotment.limit
                if run.closed is not None and all_of_it and amount != run.allotment.spent:
                    facts = f"{id} is over, spent {run.allotment.spent} and holds {amount} of {budget}"
                    self.say("P12 budget", facts, now)
        for id, limit, taken in self._database.stepped.rows(
            "budgets", "id, limit_micro_usd, taken_micro_usd"
        ):
            if taken != held.get(id, 0):
                self.say("P12 budget", f"{id}: {taken} is taken, and runs hold {held.get(id, 0)}", now)
            if taken > max(limit, self._taken.get(id, 0)):
                self.say("P12 budget", f"{id}: {taken} is taken of {limit}", now)
            self._taken[id] = taken

    def _check_tasks(self, now: float) -> None:
        stored: _Tasks = {
            (run, step): (state, epoch, session)
            for run, step, state, epoch, session in self._database.stepped.rows(
                "tasks", "run, step, state, epoch, session"
            )
        }
        derived: _Tasks = {}
        for id, run in self.runs.items():
            if run.closed is not None:
                continue
            for name, step in run.steps.items():
                if step.status is StepStatus.RUNNING and step.epoch > 0:
                    derived[id, name] = ("leased", step.epoch, step.session)
                elif (
                    step.status is StepStatus.READY
                    or (
                        step.status is StepStatus.WAITING
                        and step.wait is not None
                        and step.wait.kind is WaitKind.RETRY
                    )
                    or waits_for_probe(step)
                ):
                    derived[id, name] = ("queued", step.epoch, "")
                elif step.status is StepStatus.BLOCKED and not step.reason:
                    self.say("P3 nothing forgotten", f"{id} {name} is blocked without a reason", now)
        for key in sorted(stored.keys() | derived.keys()):
            if stored.get(key) != derived.get(key):
                self.say(
                    "P3 nothing forgotten", f"{key}: queue {stored.get(key)}, log {derived.get(key)}", now
                )

    def _check_approvals(self, now: float) -> None:
        for id, by, holds in self._database.stepped.rows("approvals", "id, decided_by, holds"):
            if by != DAN.name:
                continue
            at = max(parse_instant(rule["escalate_at"]) for rule in msgspec.json.decode(holds))
            if self._database.now() < at:
                self.say("P11 approval", f"{id} was answered by {by} before its escalation", now)
        rows = self._database.stepped.rows("approvals", "id, state, digest")
        states = {id: (state, digest) for id, state, digest in rows}
        wanted = {CallState.HELD: ApprovalState.PENDING, CallState.GRANTED: ApprovalState.APPROVED}
        for id, run in self.runs.items():
            for call in run.calls.values():
                if not call.approval:
                    continue
                state, digest = states.get(call.approval, ("absent", ""))
                expected = wanted.get(call.state)
                if call.state in (CallState.INTENDED, CallState.DONE, CallState.FAILED):
                    expected = ApprovalState.CONSUMED
                if digest != call.digest or (expected is not None and state != expected):
                    facts = f"{id} {call.key}: the call is {call.state}, its approval {call.approval} {state}"
                    self.say("P11 approval", facts, now)

    def check_hands(self, now: float, hands: dict[str, set[str]], *, ready: bool) -> None:
        """No task stays leased that nobody works on: by a session that is over, or that does not know of it.

        Args:
            now: The virtual time.
            hands: What each session's worker has in hand.
            ready: Whether the platform and its workers were able to look after it all the time.
        """
        live = {
            id
            for id, expires in self._database.stepped.rows("sessions", "id, expires_at")
            if expires > self._database.now()
        }
        alone: dict[tuple[str, str, int], float] = {}
        self._check_requests(now, alone, ready=ready)
        for run, step, state, epoch, session in self._database.stepped.rows(
            "tasks", "run, step, state, epoch, session"
        ):
            held = session in live and f"{run}/{step}" in hands.get(session, set())
            if state != "leased" or held:
                continue
            since = self._alone_since.get((run, step, epoch), now) if ready else now
            alone[run, step, epoch] = since
            if now - since > FORGOTTEN_SECONDS + 20:
                facts = (
                    f"{run} {step} is leased under epoch {epoch} since {since:.0f} s, and nobody works on it"
                )
                self.say("P3 nothing forgotten", facts, now)
        self._alone_since = alone

    def _check_requests(self, now: float, alone: dict[tuple[str, str, int], float], *, ready: bool) -> None:
        """No request stays open that has expired, or that rests on other policies than are in force."""
        rows = self._database.stepped.rows("approvals", "id, state, expires_at, policy_version")
        for id, state, expires, version in rows:
            if state != ApprovalState.PENDING:
                continue
            faults = []
            if expires <= self._database.now():
                faults.append("has expired")
            if version != self.law:
                faults.append("rests on policies that are not in force")
            for fault in faults:
                since = alone[id, fault, 0] = self._alone_since.get((id, fault, 0), now) if ready else now
                if now - since > FORGOTTEN_SECONDS:
                    facts = f"{id} {fault}, and still waits since {since:.0f} s"
                    self.say("P3 nothing forgotten", facts, now)

    def check_blobs(self, now: float) -> None:
        """Whatever an event names is there: large payloads, and plans."""
        for (digest,) in self._database.stepped.rows("payloads", "blob"):
            if digest is not None and not any(name == digest for _, name in self._database.blobs.bodies):
                self.say("P7 evidence", f"the payload {digest} is named and not stored", now)
        for id, run in self.runs.items():
            if (run.tenant, run.plan) not in self._database.blobs.bodies:
                self.say("P7 evidence", f"{id}: its plan {run.plan} is not stored", now)

    def check_effects(self, now: float, never_happened: dict[str, int]) -> None:
        """Idempotent writes have one effect, external actions one dispatch, unless a person decided otherwise."""
        calls = {key: call for run in self.runs.values() for key, call in run.calls.items()}
        for (tool, text), effects in self._outside.effects.items():
            if tool not in WRITES:
                continue
            allowed = 1 + (sum(never_happened.get(key, 0) for key in effects) if tool in EXTERNAL else 0)
            if sum(effects.values()) > allowed:
                self.say("P6 effects", f"{tool} {text} has {sum(effects.values())} effects", now)
            for key in effects:
                call = calls.get(key)
                if call is None:
                    continue
                closed = call.state in (
                    CallState.FAILED,
                    CallState.CANCELED,
                    CallState.REFUSED,
                    CallState.LOST,
                )
                if closed and key not in self.resolved:
                    self.say("P6 effects", f"{tool} {text} happened, and the log says {call.state}", now)
        for key, call in calls.items():
            tool = call.capability.partition("@")[0].removeprefix("sim.")
            if tool in WRITES and call.state is CallState.DONE and not self._outside.landed(key):
                self.say("P6 effects", f"{tool} {key} is done in the log and never arrived", now)

    def check_files(self, now: float) -> None:
        """Each write that is done is in the workspace that its run left, or named in a conflict."""
        self.joins = sum(bool(step.joined) for run in self.runs.values() for step in run.steps.values())
        for id, run in self.runs.items():
            body = self._database.blobs.bodies.get((run.tenant, run.tree))
            if run.status is not Status.COMPLETED or body is None:
                continue
            left = {path: digest for path, (_, digest) in manifest_of(body).items()}
            told = " ".join(self.conflicts.get(id, ()))
            for key, call in run.calls.items():
                path, digest = self._outside.files.get(key, ("", ""))
                stands = call.state is CallState.DONE and call.attempt == run.steps[call.step].attempt
                if path and stands and left.get(path) != digest and f"{path} (" not in told:
                    self.say("P22 workspaces", f"{id} {call.step} wrote {path}, and its run has lost it", now)

    def check_sagas(self, now: float, acks: Acks) -> None:
        """What a rolled-back run did outside was undone there once, the last first; nothing else was undone."""
        for id in acks.rollbacks:
            if id in self.runs and self.runs[id].phase is not Phase.COMPENSATING:
                self.say("P1 durable", f"the rollback of {id} was acknowledged and is not in the log", now)
        for id, run in self.runs.items():
            done = [(tool, text) for of, tool, text in self._outside.history if of == id]
            undone = [action for action in done if action[0] in UNDOES.values()]
            due = [(UNDOES[tool], text) for tool, text in reversed(done) if tool in UNDOES]
            if run.status is not Status.ROLLED_BACK:
                due = undone if run.phase is Phase.COMPENSATING else []
            if undone != due:
                self.say("P13 rollback", f"{id} is {run.status}: undone {undone}, due {due}", now)

    def check_halts(self, now: float, acks: Acks, *, alone: bool, calm: bool) -> None:
        """While a halt stood, no replica let anything go that it stops; where all are quick, nothing was sent either."""
        grace = 0.0 if alone else HALT_SECONDS
        for scope, target, since, until in acks.halts:
            for at, dispatch in self.dispatches:
                if scope == "tool" and dispatch.capability.partition("@")[0] != target:
                    continue
                if since + grace < at < min(until, acks.lifted_at):
                    facts = f"{dispatch.capability} was let go at {at:.2f}, {scope} {target} halted since {since:.2f}"
                    self.say("P12 stop", facts, now)
            for (tool, text), arrivals in self._outside.arrivals.items() if calm else ():
                if scope == "tool" and target != f"sim.{tool}":
                    continue
                for arrival in arrivals:
                    if since + grace + HALT_SECONDS < arrival.sent < min(until, acks.lifted_at):
                        facts = f"{tool} {text} was sent at {arrival.sent:.2f}, halted since {since:.2f}"
                        self.say("P12 stop", facts, now)

    def check_acks(self, now: float, acks: Acks) -> None:
        """Whatever a client was told is in the log."""
        for fault in acks.faults:
            self.say("P2 one answer", fault, now)
        for key, run in acks.runs.items():
            if run not in self.runs:
                self.say("P1 durable", f"{key} was acknowledged as {run}, and there is no such run", now)
        for run in acks.cancels:
            if run in self.runs and not self.runs[run].cancel_requested:
                self.say("P1 durable", f"the cancel of {run} was acknowledged and is not in the log", now)
        states: dict[str, str] = dict(self._database.stepped.rows("approvals", "id, state"))
        for id, told in acks.decisions.items():
            if (told is ApprovalState.REJECTED) != (states.get(id) == ApprovalState.REJECTED):
                self.say("P11 approval", f"{id} was {told} and is {states.get(id)}", now)

    def check_end(self, now: float) -> None:
        """At the end nothing is open: every run is closed, no call is on its way, the feed and the trees are whole."""
        for id, run in self.runs.items():
            if run.closed is None:
                steps = {name: str(step.status) for name, step in run.steps.items()}
                self.say("P4 convergence", f"{id} is {run.status}: {steps}", now)
            for call in run.calls.values():
                if run.closed is not None and call.state in (CallState.INTENDED, CallState.UNKNOWN):
                    self.say("P6 effects", f"{id} closed while {call.key} is {call.state}", now)
        events = len(self._database.stepped.rows("events", "pos"))
        leaves = self._database.stepped.rows("leaves", "log, idx, pos")
        if len(leaves) != events:
            self.say("P16 audit", f"{len(leaves)} leaves for {events} events", now)
        if self.placed != list(range(1, events + 1)):
            self.say("P8 feed", f"a reader saw {len(self.placed)} of {events} events, or not in order", now)
