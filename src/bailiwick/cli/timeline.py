"""The timeline: a run's events folded into lines for people, and into the figures that stand below them."""

from collections import deque
from typing import Any

import msgspec

from bailiwick.base import parse_instant
from bailiwick.cli.text import money
from bailiwick.plan import UNDO

ENDED = ("completed", "failed", "canceled", "rolled-back")
_SHOWN_MOVES = ("running", "waiting", "blocked", "succeeded", "failed", "skipped", "canceled", "compensated")
_STYLES = {
    "succeeded": "green",
    "completed": "bold green",
    "done": "green",
    "failed": "red",
    "refused": "red",
    "unknown": "bold red",
    "canceled": "yellow",
    "compensated": "yellow",
    "rolled-back": "bold yellow",
    "waiting": "yellow",
    "held": "yellow",
    "blocked": "bold red",
    "granted": "green",
}
_CALL_WORDS = {
    "held": "is held for approval",
    "granted": "was approved",
    "intended": "goes out",
    "done": "is done",
    "failed": "failed",
    "canceled": "was canceled",
    "unknown": "has an unknown outcome",
    "refused": "was refused",
    "lost": "was lost and may be repeated",
}
_RESERVES = ("held", "granted", "intended", "unknown")
_SHORT = 16
_REMEMBERED = 512


class Line(msgspec.Struct, frozen=True):
    """One line of the timeline; `at` is the instant in microseconds."""

    at: int
    text: str
    style: str = ""


class Timeline:
    """The fold of the events seen so far.

    Attributes:
        status: The run's newest known status; "" before the first event.
        seq: The last event applied.
        steps: Each step with its newest state.
        approvals: What is held, by the id of its approval; `digests`: the digest of each.
        allotment: What it may spend, in micro-USD.
        reason: Why the run ended or is blocked.
        began: When it was created.
    """

    def __init__(self) -> None:
        self.status = ""
        self.seq = 0
        self.steps: dict[str, str] = {}
        self.approvals: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.allotment = 0
        self.reason = ""
        self.began = 0
        self._costs: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        self._aside: dict[str, int] = {}
        self._frames: deque[tuple[str, ...]] = deque(maxlen=_REMEMBERED)

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end."""
        return self.status in ENDED

    @property
    def spent(self) -> int:
        """What the run's calls have cost."""
        return sum(self._costs.values())

    @property
    def remaining(self) -> int:
        """What is left of the budget, reservations taken off."""
        aside = 0 if self.ended else sum(self._aside.values())
        return self.allotment - self.spent - sum(self._reserved.values()) - aside

    @property
    def approval(self) -> str:
        """The oldest approval that is waited for."""
        return next(iter(self.approvals), "")

    @property
    def running(self) -> list[str]:
        """The steps in work."""
        return [step for step, state in self.steps.items() if state == "running"]

    def is_new(self, frame: dict[str, Any]) -> bool:
        """Whether a frame was not seen before; a stream that is opened again begins with the last ones."""
        known = (frame["step"], frame["key"], frame["at"], str(frame.get("text", "")))
        if known in self._frames:
            return False
        self._frames.append(known)
        return True

    def apply(self, event: dict[str, Any]) -> list[Line]:
        """Take the next event; answer the lines that it adds. One that was seen before adds nothing."""
        seq = int(event.get("seq", 0))
        if seq and seq <= self.seq:
            return []
        self.seq = seq
        at = int(parse_instant(event["at"]))
        self.began = self.began or at
        lines = [*self._told(event, at)]
        if event.get("erased"):
            lines.append(Line(at, f"  the content of event {seq} was erased", "dim"))
        for move in event.get("moves", ()):
            lines += self._move(move, at)
            if move["step"] == "$plan" and move.get("output_digest"):
                lines += [Line(at, f"  {text}") for text in _brief(event.get("payload"))]
        self.status = str(event.get("status", self.status))
        return lines

    def _told(self, event: dict[str, Any], at: int) -> list[Line]:
        match event["kind"]:
            case "run.created":
                self.allotment = _micro(event["allotment"])
                text = f"run {event['run']} of {event['workflow']}: {event['title']} (budget {money(self.allotment)})"
                return [Line(at, text, "bold")]
            case "action.moved":
                return self._call(event, at)
            case "attempt.refused":
                return [Line(at, _attempt(event), "yellow")]
            case "action.escalated":
                action = self.approvals.get(event["approval"], "an action")
                text = f"{action}: nobody answered in time; {', '.join(event['to'])} may as well now"
                return [Line(at, f"{text}; approval {event['approval']}", "bold yellow")]
            case "run.cancel_requested":
                said = f": {event['reason']}" if event.get("reason") else ""
                return [Line(at, f"{event['by']} asked to cancel{said}", "yellow")]
            case "run.rollback_requested":
                self.reason = ""
                said = f": {event['reason']}" if event.get("reason") else ""
                return [Line(at, f"{event['by']} asked to roll back{said}", "yellow")]
            case "run.deadline_passed":
                return [Line(at, "the deadline passed", "red")]
            case "run.allotment_raised":
                self.allotment += _micro(event["amount"])
                return [Line(at, f"{event['by']} added {money(_micro(event['amount']))} to the budget")]
            case "run.closed":
                self.reason = str(event.get("reason", ""))
                said = f": {self.reason}" if self.reason else ""
                return [Line(at, f"run {event['status']}{said}", _STYLES.get(event["status"], "bold red"))]
            case _:
                return []

    def _call(self, event: dict[str, Any], at: int) -> list[Line]:
        call = event["call"]
        state, key = call["state"], call["key"]
        cost = self._costs[key] = _micro(call.get("cost"))
        self._reserved[key] = _micro(call.get("reserved")) if state in _RESERVES else 0
        told = _CALL_WORDS.get(state, state)
        if call.get("again_at"):
            told = f"had no answer to try {call['tries']} and is sent again with its key"
        words = [f"{call['step']}: {call['capability']} {told}"]
        if state == "held" and call.get("approval"):
            self.approvals[call["approval"]] = call["capability"]
            self.digests[call["approval"]] = call["digest"]
            words.append(f"approval {call['approval']}, action {call['digest'][:_SHORT]}")
        else:
            self.approvals.pop(call.get("approval", ""), None)
        if state in ("held", "refused") and call.get("policies"):
            words.append(f"policy {', '.join(call['policies'])}")
        if cost:
            words.append(money(cost) + (" (estimated)" if call.get("estimated") else ""))
        tokens = _tokens(event)
        if tokens:
            words.append(tokens)
        if call.get("reason"):
            words.append(call["reason"])
        actor = str(event.get("actor", ""))
        if actor.startswith("user:"):
            words.append(f"by {actor.removeprefix('user:')}")
        return [Line(at, "; ".join(words), _STYLES.get(state, ""))]

    def _move(self, move: dict[str, Any], at: int) -> list[Line]:
        step, to = move["step"], move["to"]
        self.steps[step] = to
        if move.get("aside"):
            self._aside[step] = _micro(move["aside"])
        if step.endswith(UNDO):
            self._aside.pop(step.removesuffix(UNDO), None)
        if to == "blocked":
            self.reason = str(move.get("reason", ""))
        if to not in _SHOWN_MOVES:
            return []
        words = [f"{step} {to}"]
        if int(move.get("attempt", 1)) > 1:
            words.append(f"attempt {move['attempt']}")
        if move.get("iteration"):
            words.append(f"turn {move['iteration']}")
        if move.get("wait"):
            words.append(f"for {move['wait']['kind']}")
        decided = [name for name in ("when", "until") if move.get(name) is not None]
        words += [f"{name} is {str(move[name]).lower()}" for name in decided]
        if move.get("rules"):
            words.append(f"rules {', '.join(move['rules'])}")
        if move.get("reason"):
            words.append(move["reason"])
        lines = [Line(at, "; ".join(words), _STYLES.get(to, ""))]
        lines += [Line(at, f"  {finding}", "red") for finding in move.get("findings", ())]
        return lines


def _attempt(event: dict[str, Any]) -> str:
    """Tell what a step asked for and did not get, or how often it did beyond those that are told."""
    count, step = int(event.get("count", 1)), event["step"]
    if event["code"] == "counted":
        return f"{step}: {count} more refused attempts"
    more = f" (and {count - 1} more before it)" if count > 1 else ""
    payload = event.get("payload")
    reason = f": {payload['reason']}" if isinstance(payload, dict) and payload.get("reason") else ""
    return f"{step}: {event.get('capability') or 'an attempt'} was refused, {event['code']}{more}{reason}"


def _brief(payload: Any) -> list[str]:
    """Tell an accepted brief: a planner's, or the one that the workflow's own text makes."""
    match payload.get("output", payload.get("brief")) if isinstance(payload, dict) else None:
        case {"objective": str(objective), "steps": list(steps), "constraints": list(constraints)}:
            told = [f"objective: {objective}", *(f"step: {step}" for step in steps)]
            return [*told, *(f"constraint: {constraint}" for constraint in constraints)]
        case _:
            return []


def _micro(amount: dict[str, Any] | None) -> int:
    return int(amount["micro_usd"]) if amount is not None else 0


def _tokens(event: dict[str, Any]) -> str:
    """Tell the tokens of a model call, where its answer is at hand."""
    match event.get("payload"):
        case {"outcome": {"usage": {"input_tokens": int(given), "output_tokens": int(made)}}}:
            return f"{given} tokens in, {made} out"
        case _:
            return ""
