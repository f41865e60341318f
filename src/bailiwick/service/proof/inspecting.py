"""Inspecting: the invariants that tables answer, and those that only the fold of the log can answer."""

from collections.abc import AsyncIterator

from bailiwick.audit import commitment
from bailiwick.base import Digest, Refusal, canonical, digest_of, parse_canonical
from bailiwick.ports import Blobs, Checked, Inspector, RunHead, StoredEvent, Violation
from bailiwick.run import PLAN, CallMoved, CallState, Created, Event, Run, decode_event, evolve
from bailiwick.service.core.rows import differences, head_row

_PAGE = 200
_FOLD = {
    "heads_fold_from_the_log": "A run's head is what the fold of its events says, column by column.",
    "dispatches_were_paid_for": "No action was dispatched for which the budget did not suffice at that moment.",
    "outputs_have_their_digest": "A step's recorded output has the digest that its event names.",
}
_PLANS = {"plans_are_kept": "The plan of a run is stored under its digest."}
_LARGE = {"large_payloads_are_kept": "A payload in the blobs is there, and is what its event commits to."}


class Inspecting:
    """Checks a whole ledger; it reads every event, so it is for operators, tests and the simulator.

    Args:
        inspector: The ledger, seen without a write.
        blobs: Where plans and large payloads lie.
    """

    def __init__(self, inspector: Inspector, blobs: Blobs) -> None:
        self._inspector = inspector
        self._blobs = blobs
        self._runs = 0
        self._events = 0
        self._large = 0

    async def violations(self) -> list[Violation]:
        """Check every invariant; empty when all hold."""
        self._runs = self._events = self._large = 0
        found = list(await self._inspector.violations())
        after = ("", "")
        while heads := await self._inspector.heads(after, _PAGE):
            for head in heads:
                found += [violation async for violation in self._of_run(head)]
            after = (heads[-1].tenant, heads[-1].id)
        found += [violation async for violation in self._of_blobs()]
        return found

    async def checked(self) -> list[Checked]:
        """Name every invariant, with how many things the last check was asked over."""
        own = [
            (_FOLD, "runs", self._runs),
            (_PLANS, "runs", self._runs),
            (_LARGE, "payloads", self._large),
        ]
        return [
            *await self._inspector.checked(),
            *(Checked(name, says, over, count) for group, over, count in own for name, says in group.items()),
        ]

    async def _of_run(self, head: RunHead) -> AsyncIterator[Violation]:
        self._runs += 1
        run: Run | None = None
        after = 0
        while page := await self._inspector.events(head.tenant, head.id, after, _PAGE):
            for stored in page:
                self._events += 1
                try:
                    event = decode_event(stored.header)
                except ValueError as error:
                    yield Violation(
                        "heads_fold_from_the_log", head.tenant, f"{head.id}.{stored.seq}", str(error)
                    )
                    return
                run = evolve(run, event)
                for name, detail in _faults_of(run, event, stored):
                    yield Violation(name, head.tenant, f"{head.id}.{stored.seq}", detail)
            after = page[-1].seq
        if run is None:
            yield Violation("heads_fold_from_the_log", head.tenant, head.id, "it has no events")
            return
        for detail in differences(head, head_row(run)):
            yield Violation("heads_fold_from_the_log", head.tenant, head.id, detail)
        if not await self._holds(head.tenant, run.plan):
            yield Violation("plans_are_kept", head.tenant, head.id, f"the plan {run.plan} is not there")

    async def _holds(self, tenant: str, digest: Digest) -> bool:
        try:
            return await self._blobs.get(tenant, digest) is not None
        except Refusal:
            return False  # it lies there damaged

    async def _of_blobs(self) -> AsyncIterator[Violation]:
        after = 0
        while page := await self._inspector.large_payloads(after, _PAGE):
            for large in page:
                self._large += 1
                try:
                    body = await self._blobs.get(large.tenant, large.digest)
                except Refusal:
                    body = None  # it lies there damaged
                if body is None or commitment(large.salt, body) != parse_canonical(large.header).get(
                    "payload"
                ):
                    id = f"{large.stream}.{large.seq}"
                    detail = f"the blob {large.digest} is lost or another"
                    yield Violation("large_payloads_are_kept", large.tenant, id, detail)
            after = page[-1].position


def _digest_of(payload: bytes, name: str) -> Digest | None:
    try:
        return digest_of(canonical(parse_canonical(payload)[name]))
    except (ValueError, KeyError, TypeError):
        return None  # somebody's edit, which must be named and not end the check


def _faults_of(run: Run, event: Event, stored: StoredEvent) -> list[tuple[str, str]]:
    """Say what is wrong with an event, seen with the state that it leads to."""
    faults: list[tuple[str, str]] = []
    if isinstance(event, CallMoved) and event.call.state is CallState.INTENDED:
        money = run.allotment
        if money.spent + money.reserved > money.limit:
            detail = f"{money.spent} spent and {money.reserved} reserved of {money.limit} after it"
            faults.append(("dispatches_were_paid_for", detail))
    named = [move for move in event.moves if move.output]
    own = [move for move in event.moves if move.step == PLAN and move.output_digest and not move.output]
    if stored.payload is not None and own and isinstance(event, Created):
        digest = _digest_of(stored.payload, "brief")
        detail = f"the recorded brief has the digest {digest}" if digest else "the record holds no brief"
        faults += [("outputs_have_their_digest", detail) for move in own if move.output_digest != digest]
    if stored.payload is None or not named:
        return faults
    digest = _digest_of(stored.payload, "output")
    detail = f"the recorded output has the digest {digest}" if digest else "the record holds no output"
    return faults + [("outputs_have_their_digest", detail) for move in named if move.output_digest != digest]
