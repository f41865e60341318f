"""The table of rulings in docs/concepts.md, made by asking the machine: what the gate finds out, in every state of an entry."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from bailiwick.base import Refusal
from bailiwick.contract import EffectClass
from bailiwick.plan import Plan
from bailiwick.policy import VerdictKind
from bailiwick.run.commands import Propose
from bailiwick.run.proposing import Ruled, rule
from bailiwick.run.sight import Sight
from bailiwick.run.standing import Bar, Standing, StandingKind
from bailiwick.run.state import Call, Run
from bailiwick.run.states import CallState
from bailiwick.run.status import doomed

_NO_ENTRY = "no entry"
_CLASSES = (EffectClass.READ_ONLY, EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)
_FOUND: dict[str, dict[str, Any]] = {
    "policy allows it": {},
    "policy holds it": {"verdict": VerdictKind.HOLD, "request": "another"},
    "held by the rules that were asked": {"verdict": VerdictKind.HOLD, "covered": True},
    "policy denies it": {"verdict": VerdictKind.DENY},
    "something bars it": {"bar": Bar("halted", Standing(StandingKind.HALT))},
    "its grant does not cover it": {"fault": "expired"},
}
"""What can be found out about an action, as the fields of the proposal that say so."""


def ruling_table(runs: Iterable[Run], plan: Plan, sight: Sight, action: Call) -> str:
    """Write, in Markdown, what is ruled about an action by the state of its entry and by what was found out.

    Args:
        runs: The states to ask in.
        plan: Their plan.
        sight: What may be seen.
        action: An action of the step named in it, as nobody has seen it yet.
    """
    ruled: dict[tuple[str, str], dict[Ruled, None]] = {}
    for run in runs:
        for entry, found, kind in _rulings(run, plan, sight, action):
            ruled.setdefault((entry, found), {})[kind] = None
    head = " | ".join(["the entry is", *_FOUND])
    rows = [f"| {head} |", "| " + " | ".join(["---"] * (len(_FOUND) + 1)) + " |"]
    for entry in (_NO_ENTRY, *CallState):
        cells = [
            ", ".join(kind for kind in Ruled if kind in ruled.get((entry, found), ())) for found in _FOUND
        ]
        if any(cells):
            rows.append(f"| {entry} | " + " | ".join(cell or "-" for cell in cells) + " |")
    return "\n".join(rows)


def _rulings(run: Run, plan: Plan, sight: Sight, action: Call) -> Iterator[tuple[str, str, Ruled]]:
    """Ask about one action of each class in one state; where nobody may ask, nothing is ruled."""
    known = run.calls.get(action.key)
    step = run.steps.get(action.step)
    if step is None or doomed(run):  # where it can only end, nothing begins
        return
    for effect in _CLASSES:
        call = replace(known or action, effect=effect, epoch=step.epoch)
        seen = replace(run, calls={**run.calls, call.key: call}) if known is not None else run
        for found, fields in _FOUND.items():
            try:
                ruling = rule(seen, plan, Propose(call, **fields), sight)
            except Refusal:
                continue
            yield (str(known.state) if known is not None else _NO_ENTRY), found, ruling.kind
