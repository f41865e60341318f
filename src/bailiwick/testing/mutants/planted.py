"""The planted bugs: each a named patch of one function or SQL term, and the promise that it breaks."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base import digest_of
from bailiwick.budget import Allotment
from bailiwick.contract import ErrorCategory
from bailiwick.policy import VerdictKind
from bailiwick.ports import Unit
from bailiwick.run import (
    CallState,
    StepStatus,
    compensating,
    hanging,
    is_undo,
    journal,
    lines,
    merging,
    probing,
    proposing,
    walk,
)
from bailiwick.run import calls as run_calls
from bailiwick.run.attempts import may_note
from bailiwick.run.events import Move
from bailiwick.run.evolve import _given_back
from bailiwick.run.path import Path, path_of
from bailiwick.run.states import ENDED
from bailiwick.run.status import is_container
from bailiwick.service.core import postings
from bailiwick.service.core.memory import Memory
from bailiwick.service.core.runs import Runs
from bailiwick.service.core.turns import Turns
from bailiwick.service.gate import dispatching, holding
from bailiwick.service.gate.halts import Halts
from bailiwick.service.gate.lines import Lines
from bailiwick.service.hands.sessions import Sessions
from bailiwick.service.people.budgets import taken_on
from bailiwick.service.upkeep.recovering import Recovering
from bailiwick.stores.sealing import Sealer
from bailiwick.stores.sqlite.ledger import SqliteLedger
from bailiwick.testing.mutants.patching import function, method, term
from bailiwick.worker.executor import Executor


class Mutant(msgspec.Struct, frozen=True):
    """A planted bug.

    `breaks` is what it is about; `seed` the first seed that finds it, `budget` how many seeds from 1 on must. `slow`:
    found so late that only the long form of the suite looks for it.
    """

    name: str
    breaks: str
    seed: int
    plant: Callable[[], AbstractContextManager[Any]]
    budget: int = 100
    slow: bool = False


@contextlib.contextmanager
def _all(*patches: AbstractContextManager[None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


def _held_by_anybody(run: Any, name: str, _epoch: int) -> Any:
    return run.steps[name]


def _fence() -> AbstractContextManager[None]:
    """Whoever reports is believed, whatever epoch and session it speaks for; the queue's fence is off as well."""
    fence = "state = :from_state AND epoch = :from_epoch"
    off = ":from_state IS NOT NULL AND :from_epoch IS NOT NULL"
    return _all(
        function(journal.held_step, _held_by_anybody),
        function(dispatching.held, lambda run, step, _epoch, _session: run.steps[step]),
        term("move_task", fence, off),
        term("finish_task", fence, off),
    )


def _version() -> AbstractContextManager[None]:
    """A unit is appended wherever the stream stands."""

    def make(original: Any) -> Any:
        def seal(self: Sealer, job: Any) -> Any:
            head = self._find((job.unit.tenant, job.unit.run)) if job.unit.run else None
            now = head.seq if head is not None else 0
            return original(self, replace(job, unit=replace(job.unit, expected=now)))

        return seal

    return method(Sealer, "seal", make)


def _soon(wanted: Callable[[Unit], bool]) -> Callable[[Any], Any]:
    """Answer a commit before it has happened."""

    def make(original: Any) -> Any:
        async def commit(self: SqliteLedger, unit: Unit) -> None:
            if not wanted(unit):
                await original(self, unit)
                return
            work = asyncio.ensure_future(original(self, unit))
            work.add_done_callback(lambda done: done.cancelled() or done.exception())

        return commit

    return make


def _intends(unit: Unit) -> bool:
    return any(draft.fields.get("call", {}).get("state") == CallState.INTENDED for draft in unit.drafts)


def _key() -> AbstractContextManager[None]:
    """Every asking has a key of its own."""
    number = itertools.count()
    original = run_calls.effect_key

    def effect_key(**parts: Any) -> str:
        return original(**{**parts, "step": f"{parts['step']}#{next(number)}"})

    return function(original, effect_key)


def _grant() -> AbstractContextManager[None]:
    """A grant that was used stays good."""

    def consumption(approval: Any) -> Any:
        return replace(holding_consumption(approval), approval=approval)

    holding_consumption = holding.consumption
    return function(holding.consumption, consumption)


def _hold() -> AbstractContextManager[None]:
    """What must be asked for is let through once the step was taken up again."""

    def ruled(run: Any, plan: Any, step: Any, told: Any, *rest: Any) -> Any:
        if told.verdict is VerdictKind.HOLD and step.epoch > 1:
            told = replace(told, verdict=VerdictKind.ALLOW, request="", terms="")
        return original(run, plan, step, told, *rest)

    original = proposing._ruled
    return function(original, ruled)


def _budget() -> AbstractContextManager[None]:
    """Nothing asks whether there is money."""

    def make(_original: Any) -> Any:
        def reserve(self: Allotment, amount: int) -> Allotment:
            return replace(self, reserved=self.reserved + amount)

        return reserve

    return method(Allotment, "reserve", make)


def _large() -> AbstractContextManager[None]:
    """A large payload is stored after the event that names it."""

    def make(original: Any) -> Any:
        async def keep_plan(self: Memory, tenant: str, plan: Any) -> Any:
            work = asyncio.ensure_future(_later(original(self, tenant, plan)))
            work.add_done_callback(lambda done: done.cancelled() or done.exception())

        return keep_plan

    return method(Memory, "keep_plan", make)


async def _later(work: Any) -> None:
    await asyncio.sleep(0.05)
    await work


def _reaper() -> AbstractContextManager[None]:
    """Nobody looks for the tasks of sessions that are gone."""
    return term("select_orphans", "state = 'leased'", "state = 'orphaned'")


def _timer() -> AbstractContextManager[None]:
    """What is due later is never due."""
    return term("select_claimable", "due_at <= (SELECT now_us())", "due_at < since")


def _resume() -> AbstractContextManager[None]:
    """Whoever takes a step up again begins from nothing: what was answered is done anew."""

    def recorded(run: Any, step: Any, key: str) -> Any:
        call = original(run, step, key)
        return call if call is not None and call.epoch == step.epoch else None

    original = journal.recorded
    return _all(
        function(journal.recorded, recorded),
        function(journal._fits, lambda *_: True),
    )


def _external() -> AbstractContextManager[None]:
    """An action without a key is sent again when nobody knows what became of it."""
    return function(hanging.repeatable, lambda *_: True)


def _wind_down_at_once(run: Any, outer: Path | None) -> Move | None:
    for step in run.steps.values():
        within = outer is None or path_of(step.name).inside(outer)
        if step.status not in ENDED and within and not is_container(step):
            return Move(step.name, StepStatus.CANCELED, attempt=step.attempt, category=ErrorCategory.CANCELED)
    return original_wind_down(run, outer)


original_wind_down = walk._wind_down


def _cancel() -> AbstractContextManager[None]:
    """A run that is asked to end ends at once, whatever is on its way."""
    return _all(
        function(walk._wind_down, _wind_down_at_once),
        function(hanging.abandoned, lambda *_: ()),
    )


def _unknown() -> AbstractContextManager[None]:
    """A worker that does not know what a call did says that it failed."""

    def make(original: Any) -> Any:
        def failed(self: Executor, *args: Any) -> Any:
            outcome = original(self, *args)
            return replace(outcome, state="failed") if outcome.state == "unknown" else outcome

        return failed

    return method(Executor, "_failed", make)


def _probe_early() -> AbstractContextManager[None]:
    """A probe is asked at once: what it does not find may still arrive."""

    def due(run: Any, sight: Any) -> Any:
        move: Any = original(run, sight)
        return replace(move, wait=replace(move.wait, until=sight.at)) if move is not None else None

    def unhurried(call: Any, *_: Any) -> Any:
        return replace(call, quarantine_until=0)

    original = probing.due
    known = probing.probed_in
    return _all(
        function(probing.due, due),
        function(
            probing.probed_in, lambda run, step: unhurried(call) if (call := known(run, step)) else None
        ),
    )


def _doubt() -> AbstractContextManager[None]:
    """Nobody looks what a commit did whose answer was lost."""
    return method(Sessions, "doubt", lambda _: lambda *_args: None)


def _memory() -> AbstractContextManager[None]:
    """A replica believes what it remembers, whoever changed the run since; its comparer, which would mend it, too."""

    async def never(_self: Runs, *_: object) -> bool:
        return False

    return _all(method(Runs, "_overtaken", lambda _: never), method(Runs, "compare", lambda _: never))


def _lost_cost() -> AbstractContextManager[None]:
    """What a lost try cost is not written down."""
    return function(postings.unreported, lambda *_: ())


def _race() -> AbstractContextManager[None]:
    """An approval's row is moved whatever state it is in, and the machine lets a decision through twice."""

    def held(run: Any, key: str, command: str) -> Any:
        call = run.calls.get(key)
        if call is None or call.state not in (CallState.HELD, CallState.GRANTED):
            return original(run, key, command)
        return call, run.steps[call.step]

    original = run_calls._held
    off = "state = :from_state AND digest"
    return _all(
        function(run_calls._held, held), term("move_approval", off, ":from_state IS NOT NULL AND digest")
    )


def _policy() -> AbstractContextManager[None]:
    """A rule that holds is read as one that allows, for writes."""

    def make(original: Any) -> Any:
        def decide(self: Any, request: Any) -> Any:
            verdict = original(self, request)
            held = verdict.effect is VerdictKind.HOLD and request.capability == "sim.sign"
            return replace(verdict, effect=VerdictKind.ALLOW) if held else verdict

        return decide

    from bailiwick.policy import Bundle  # noqa: PLC0415  # beside its one use

    return method(Bundle, "decide", make)


def _undo_order() -> AbstractContextManager[None]:
    """What was done first is undone first."""

    def effects(run: Any, plan: Any) -> dict[str, int]:
        return {name: -place for name, place in original(run, plan).items()}

    original = compensating.effects
    return function(original, effects)


def _undo_twice() -> AbstractContextManager[None]:
    """A compensation that is taken up again begins anew, under keys of its own."""

    def effect_key(**parts: Any) -> str:
        if is_undo(parts["step"]):
            return original(**{**parts, "step": f"{parts['step']}#{next(number)}"})
        return original(**parts)

    number = itertools.count()
    original = run_calls.effect_key
    return function(original, effect_key)


def _halts_old() -> AbstractContextManager[None]:
    """A replica takes its view of the halts for new, however old it is."""
    return method(Halts, "_age", lambda _: lambda _self: 0.0)


def _no_expiry() -> AbstractContextManager[None]:
    """Nobody closes the requests that were never answered."""

    async def never(_self: Recovering) -> int:
        return 0

    return method(Recovering, "expire_approvals", lambda _: never)


def _shared_budget() -> AbstractContextManager[None]:
    """A shared budget lets every run in."""
    return _all(
        function(taken_on, lambda *_: 0), term("take_budget", ":amount <= limit_micro_usd", ":amount >= 0")
    )


def _money_kept() -> AbstractContextManager[None]:
    """A run that is over keeps what it did not spend."""
    return function(_given_back, lambda run: run.funds)


def _at_once() -> AbstractContextManager[None]:
    """Calls that change one workspace go at once, and the last outcome replaces it."""
    return _all(
        function(lines.outdated, lambda *_: False), method(Lines, "must_wait", lambda _: lambda *_args: False)
    )


def _one_side() -> AbstractContextManager[None]:
    """Where steps join, the workspace of one of them is taken."""

    def merge(join: Any, manifests: Any) -> Any:
        body = merging.manifest_bytes(manifests[join.changes[-1].after])
        return merging.Merged(digest_of(body)), body

    return function(merging.merge, merge)


def _unsaid() -> AbstractContextManager[None]:
    """In a conflict one side is chosen, and nobody is told."""

    def merge(join: Any, manifests: Any) -> Any:
        merged, body = original(join, manifests)
        return merging.Merged(merged.tree), body

    original = merging.merge
    return function(original, merge)


def _attempts_unbounded() -> AbstractContextManager[Any]:
    """Every refused attempt has an event."""
    return function(may_note, lambda *_, **__: True)


def _turns() -> AbstractContextManager[None]:
    """Whoever queued first is served first, whosever it is."""

    def drawn(self: Turns, lines: Any, room: int, _rooms: Any) -> Any:
        waiting = [
            task
            for apps in lines.values()
            for ranks in apps.values()
            for line in ranks.values()
            for task in line
        ]
        return sorted(waiting, key=lambda task: (task.due_at, task.id))[:room]

    return method(Turns, "_drawn", lambda _: drawn)


MUTANTS: tuple[Mutant, ...] = (
    Mutant("first-come-first-served", "turns", 50, _turns, budget=130),
    Mutant("fence-ignored", "fence", 3, _fence),
    Mutant("version-unchecked", "lost update", 43, _version),
    Mutant(
        "intent-after-dispatch", "intent order", 8, lambda: method(SqliteLedger, "commit", _soon(_intends))
    ),
    Mutant(
        "acknowledged-before-durable",
        "durability",
        7,
        lambda: method(SqliteLedger, "commit", _soon(lambda unit: unit.expected == 0 and bool(unit.run))),
    ),
    Mutant("key-per-asking", "key", 1, _key),
    Mutant("grant-kept", "grant", 3, _grant),
    Mutant("hold-forgotten-on-resume", "grant", 2, _hold),
    Mutant("hold-read-as-allow", "grant", 2, _policy),
    Mutant("decided-twice", "grant", 4, _race),
    Mutant("budget-unchecked", "budget", 8, _budget),
    Mutant("lost-cost-forgotten", "budget", 8, _lost_cost),
    Mutant("feed-repeats", "outbox", 1, lambda: term("select_feed", "e.pos > :after", "e.pos >= :after")),
    Mutant("plan-stored-after", "artifact order", 16, _large),
    Mutant("reaper-blind", "reaper", 3, _reaper),
    Mutant("timer-never-due", "timer", 2, _timer),
    Mutant("resume-anew", "resume", 3, _resume),
    Mutant("external-sent-again", "resume", 5, _external),
    Mutant("unknown-said-failed", "unknown outcome", 4, _unknown),
    Mutant("cancel-at-once", "cancel", 2, _cancel),
    Mutant("doubt-ignored", "unknown commit", 148, _doubt, budget=400, slow=True),
    Mutant("stale-memory", "replicas", 9, _memory, budget=80),
    Mutant("probed-before-the-quarantine", "probe", 12, _probe_early),
    Mutant("undone-in-the-order-done", "rollback", 4, _undo_order),
    Mutant("undone-under-new-keys", "rollback", 5, _undo_twice),
    Mutant("halts-never-old", "halt", 800, _halts_old, budget=800),
    Mutant("requests-never-expire", "expiry", 5, _no_expiry),
    Mutant("shared-budget-unchecked", "shared budget", 13, _shared_budget),
    Mutant("attempts-unbounded", "bounded record", 9, _attempts_unbounded),
    Mutant("shared-money-kept", "shared budget", 5, _money_kept),
    Mutant("writes-at-once", "workspaces", 1, _at_once),
    Mutant("merge-of-one-side", "workspaces", 2, _one_side),
    Mutant("conflict-unsaid", "workspaces", 3, _unsaid),
)
