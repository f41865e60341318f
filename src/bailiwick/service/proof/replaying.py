"""Replaying: a transcript is folded, and every recorded decision is taken again: moves, and verdicts."""

from collections.abc import Callable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from bailiwick.audit import commitment, leaf_hash
from bailiwick.base import Digest, Instant, Json, canonical, digest_of, parse_canonical
from bailiwick.plan import Plan, parse_plan
from bailiwick.policy import Bundle, Verdict
from bailiwick.run import (
    EDITION,
    Again,
    Call,
    CallMoved,
    ContentNeeded,
    Created,
    Event,
    Join,
    Journal,
    Manifest,
    Merged,
    Propose,
    Run,
    Sight,
    Start,
    Told,
    TreesNeeded,
    decided_again,
    decode_event,
    evolve,
    manifest_of,
    merge,
)
from bailiwick.service.core.catalogue import Contracts, contracts_of
from bailiwick.service.core.pinned import AgentText, agent_text
from bailiwick.service.core.rows import differences, head_row
from bailiwick.service.core.starting import start_of
from bailiwick.service.gate.editions import first_edition
from bailiwick.service.gate.gathering import FACTS
from bailiwick.service.proof.convicting import served_otherwise
from bailiwick.service.proof.rejudging import Unkept, admitted_again, judged_again
from bailiwick.service.proof.transcript import Line, Transcript

BundleMaker = Callable[[Mapping[str, str]], Bundle]


class Difference(msgspec.Struct, frozen=True):
    """Where a record and its repetition part: `place` is an event, `what` is log, state, moves, verdict or served."""

    place: str
    what: str
    detail: str


class Replayed(msgspec.Struct, frozen=True):
    """What came of a replay.

    Attributes:
        run: The run's id.
        state: The digest of the folded state's canonical bytes: equal wherever the same log is folded.
        events: Events that were folded.
        decisions: Units whose moves were decided again.
        verdicts: Verdicts that were given again: on the intent, starts of steps, and actions.
        unkept: Decisions that could not be taken again, with what is no longer there.
        differences: Where the repetition is not the record.
    """

    run: str
    state: Digest
    events: int
    decisions: int
    verdicts: int
    unkept: tuple[str, ...]
    differences: tuple[Difference, ...]


def replay(transcript: Transcript, make_bundle: BundleMaker) -> Replayed:
    """Fold a transcript and take every decision in it again.

    Args:
        transcript: The run.
        make_bundle: Makes a bundle of the files that are named by its version.
    """
    return _Replay(transcript, make_bundle).result()


class _Replay:
    """One replay under way."""

    def __init__(self, transcript: Transcript, make_bundle: BundleMaker) -> None:
        self._transcript = transcript
        self._make_bundle = make_bundle
        self._bundles: dict[str, Bundle] = {}
        self._catalogues: dict[str, Contracts] = {}
        self._contents: dict[int, Json] = {}
        self._states: list[Run | None] = [None]
        self._differences: list[Difference] = []
        self._unkept: list[str] = []
        self._decisions = 0
        self._verdicts = 0
        self._opening: dict[str, Json] = {}
        self._texts: dict[str, AgentText] = {}

    def result(self) -> Replayed:
        """Replay all of it."""
        headers = list(self._headers())
        plan = self._plan()
        run: Run | None = None
        unit: list[tuple[Event, dict[str, Json]]] = []
        for header, event in headers:
            self._opening = self._opening or header
            unit.append((event, header))
            if "status" not in header:
                continue
            if plan is not None:
                self._unit(run, plan, unit)
            for each, said in unit:
                run = evolve(run, each)
                self._states.append(run)
                if plan is not None:
                    self._served(run, plan, each, said)
            unit = []
        if unit:
            self._differ(f"{self._transcript.head.id}.{len(headers)}", "log", "the last unit is not whole")
        if run is not None:
            self._ends(run)
        return Replayed(
            run=self._transcript.head.id,
            state=digest_of(canonical(msgspec.to_builtins(run))),
            events=len(headers),
            decisions=self._decisions,
            verdicts=self._verdicts,
            unkept=tuple(self._unkept),
            differences=tuple(self._differences),
        )

    def _headers(self) -> Iterator[tuple[dict[str, Json], Event]]:
        """Read the events; each proves by hash that it follows the one before, and that its payload is its own."""
        id, prev = self._transcript.head.id, ""
        for seq, line in enumerate(self._transcript.events, 1):
            body = line.header.encode()
            header = parse_canonical(body)
            if (header.get("stream"), header.get("seq"), header.get("prev")) != (id, seq, prev):
                self._differ(f"{id}.{seq}", "log", "it does not follow the event before it")
            if _is_another(line, header):
                self._differ(f"{id}.{seq}", "log", "its payload is not the one that it commits to")
            elif line.payload is not None:
                self._contents[seq] = parse_canonical(line.payload.encode())
            prev = leaf_hash(body).hex()
            yield header, decode_event(body)

    def _plan(self) -> Plan | None:
        plan = parse_plan(self._transcript.plan.encode())
        opening = decode_event(self._transcript.events[0].header.encode())
        if isinstance(opening, Created) and plan.digest == opening.plan:
            return plan
        self._differ(f"{self._transcript.head.id}.1", "log", "the plan is not the one that it names")
        return None

    def _unit(self, before: Run | None, plan: Plan, unit: list[tuple[Event, dict[str, Json]]]) -> None:
        events = tuple(event for event, _ in unit)
        place = f"{self._transcript.head.id}.{len(self._states)}"
        try:
            contracts = self._contracts(unit[-1][1].get("law") or self._opening.get("catalogue", ""))
            again = self._again(before, plan, events, contracts, self._said(unit[0][1]))
        except ContentNeeded as needed:
            self._unkept.append(f"{place}: the payload of event {needed.seqs[0]} was erased")
            return
        except Unkept as unkept:
            self._unkept.append(f"{place}: {unkept}")
            return
        self._decisions += 1
        if not again.agrees:
            self._differ(place, "moves", _told(events, again.events))
            return
        self._verdicts += sum(bool(move.policies) for event in events for move in event.moves)
        if isinstance(events[0], Created):
            self._admission(events[0], plan, place)
        ruled = isinstance(again.command, Propose | Journal) and isinstance(events[0], CallMoved)
        if before is not None and ruled and isinstance(events[0], CallMoved):
            self._action(before, plan, events[0].call, contracts, place)

    def _said(self, header: dict[str, Json]) -> Told:
        """Read what a unit says of its command; one whose facts were erased says no more than an older log."""
        content = self._contents.get(len(self._states))
        if content is None and header.get("payload"):
            return Told()
        facts = content.get(FACTS) if isinstance(content, dict) else None
        return Told(str(header.get("command", "")), facts if isinstance(facts, dict) else {})

    def _again(
        self,
        before: Run | None,
        plan: Plan,
        events: tuple[Event, ...],
        contracts: Contracts,
        told: Told,
    ) -> Again:
        """Decide a unit again. What an older run went on with was decided by the facts of one edition or the other."""
        again = Again(agrees=False, command=None)
        for edition in (0, EDITION) if not self._opening.get("edition") else (EDITION,):
            judge = self._judge(plan, events, edition)
            sight = Sight(Instant(0), self._contents, contracts, judge)
            again = self._merging(before, plan, events, sight, told)
            if again.agrees:
                break
        return again

    def _merging(
        self, before: Run | None, plan: Plan, events: tuple[Event, ...], sight: Sight, told: Told
    ) -> Again:
        """Decide a unit again, with the workspaces that it joined merged again from their sources."""
        merges: dict[Join, Merged] = {}
        while True:
            try:
                return decided_again(before, plan, events, replace(sight, merges=merges), told)
            except TreesNeeded as apart:
                merges[apart.join], _ = merge(
                    apart.join, {tree: self._tree(tree) for tree in apart.join.trees}
                )

    def _tree(self, tree: str) -> Manifest:
        body = self._transcript.trees.get(tree, "").encode() if tree else b"[]"
        if tree and digest_of(body) != tree:
            raise Unkept(f"the workspace {tree[:16]} is not kept")
        return manifest_of(body)

    def _served(self, run: Run, plan: Plan, event: Event, header: dict[str, Json]) -> None:
        """Hold what an event says has served to what the run had pinned when it began."""
        if isinstance(event, Created):
            self._pin(event)
        try:
            contracts = self._contracts(header.get("law") or self._opening.get("catalogue", ""))
        except Unkept:
            contracts = Contracts(())
        seq = event.call.action_seq if isinstance(event, CallMoved) else 0
        content = (self._contents.get(seq) or {}).get("action")
        for fault in served_otherwise(
            run, plan, event, header=header, texts=self._texts, contracts=contracts, content=content
        ):
            self._differ(f"{run.id}.{run.version}", "served", fault)

    def _pin(self, opening: Created) -> None:
        """Read the texts that the run has pinned, as far as they are kept."""
        for ref, pin in opening.pins.get("agents", {}).items():
            body = self._transcript.agents.get(pin["prompt"], "").encode()
            if digest_of(body) == pin["prompt"]:
                self._texts[ref] = agent_text(body, pin["model"])

    def _admission(self, opening: Created, plan: Plan, place: str) -> None:
        try:
            fault = admitted_again(opening, plan, self._bundle(opening.policy_version))
        except Unkept as unkept:
            self._unkept.append(f"{place}: {unkept}")
            return
        self._given(fault, place)

    def _action(self, before: Run, plan: Plan, call: Call, contracts: Contracts, place: str) -> None:
        seen = self._states[call.judged] if call.judged else before
        known = before.calls.get(call.key)
        seq = call.action_seq
        action = self._contents.get(seq, {}).get("action")
        if seen is None:
            self._differ(place, "verdict", f"policy cannot have seen version {call.judged}")
            return
        version = call.policy_version or before.policy_version
        try:
            fault = judged_again(seen, plan, (known, call), action, contracts, self._bundle(version))
        except Unkept as unkept:
            self._unkept.append(f"{place}: {unkept}")
            return
        self._given(fault, place)

    def _given(self, fault: str | None, place: str) -> None:
        """Take note of a verdict that was given again, unless policy did not give it."""
        if fault is None:
            return
        self._verdicts += 1
        if fault:
            self._differ(place, "verdict", fault)

    def _judge(self, plan: Plan, events: tuple[Event, ...], edition: int) -> Callable[[Start], Verdict]:
        """Judge starts as the version did that the unit cites, by the facts of an edition."""
        cited = [move.policy_version for event in events for move in event.moves if move.policy_version]
        version = cited[0] if cited else str(self._opening["policy_version"])

        def judge(start: Start) -> Verdict:
            question = start_of(start, plan)
            return self._bundle(version).decide(question if edition else first_edition(question))

        return judge

    def _bundle(self, version: str) -> Bundle:
        if version not in self._bundles:
            body = self._transcript.policies.get(version, "").encode()
            if digest_of(body) != version:
                raise Unkept(f"the policies {version[:16]} are not kept")
            self._bundles[version] = self._make_bundle(parse_canonical(body))
        return self._bundles[version]

    def _contracts(self, digest: str) -> Contracts:
        if digest not in self._catalogues:
            body = self._transcript.contracts.get(digest, "").encode()
            if digest_of(body) != digest:
                raise Unkept(f"the contracts {digest[:16] or 'of that time'} are not kept")
            self._catalogues[digest] = contracts_of(body)
        return self._catalogues[digest]

    def _ends(self, run: Run) -> None:
        """Hold the fold to what was stored of it: the projection, and the state as it was seen then."""
        place = f"{run.id}.{run.version}"
        for detail in differences(self._transcript.head, head_row(run)):
            self._differ(place, "state", detail)
        for detail in _lost(
            "state", self._transcript.state, parse_canonical(canonical(msgspec.to_builtins(run)))
        ):
            self._differ(place, "state", detail)

    def _differ(self, place: str, what: str, detail: str) -> None:
        self._differences.append(Difference(place, what, detail))


def _is_another(line: Line, header: dict[str, Json]) -> bool:
    if line.payload is None:
        return False
    try:
        return commitment(bytes.fromhex(line.salt), line.payload.encode()) != header.get("payload")
    except ValueError:
        return True


def _told(recorded: tuple[Event, ...], again: tuple[Event, ...]) -> str:
    if not again:
        return "no command that this state takes leads to what is recorded"
    return f"recorded {_moves(recorded)}, decided again {_moves(again)}"


def _moves(events: tuple[Event, ...]) -> str:
    parts = [f"{move.step} {move.to}" for event in events for move in event.moves]
    return f"{len(events)} event(s): {', '.join(parts) or 'no moves'}"


def _lost(place: str, then: Json, now: Json) -> Iterator[str]:
    """Find what a state said then and does not say now; what a later release says beside it is no loss."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name, value in then.items():
            if name not in now:
                yield f"{place}.{name} is gone"
            else:
                yield from _lost(f"{place}.{name}", value, now[name])
    elif then != now:
        yield f"{place} was {then!r}, and is {now!r}"
