"""A workflow as its author wrote it: parsed strictly, with the place of every fault."""

import re
from typing import Any

import msgspec

from bailiwick.base import Json
from bailiwick.contract import (
    CapabilityRef,
    ErrorCategory,
    InvalidReference,
    InvalidSchema,
    parse_ref,
    satisfies,
    validator_for,
)
from bailiwick.plan.findings import InvalidWorkflow, NotYet
from bailiwick.plan.graph import Limits, OnError, Retry
from bailiwick.plan.reader import Reader, child, number, record, text, whole

MAX_STEPS = 200
MAX_NESTING = 4
MAX_CONSTRAINTS = 32
MAX_CONTEXT = 32

_ID = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}(?:\.[a-z0-9_-]{1,64}){0,3}\Z")
_NOT_YET = (
    "for_each",
    "alternatives",
    "judge",
    "beside",
    "wait",
    "run",
    "expand",
    "approval",
    "allotment",
)
_STEP = (
    "id",
    "uses",
    "do",
    "input",
    "after",
    "when",
    "retry",
    "timeout",
    "on_error",
    "fallback",
    "repeat",
    "reviews",
    "reason",
    "limits",
    "compensate",
    "pivot",
)
_COMPENSATION = ("uses", "input", "retry", "timeout")
_LEAF_ONLY = ("input", "retry", "timeout", "fallback", "reviews", "limits", "pivot")
_LIMITS = {
    "repeats": 1000,
    "model_turns": 10_000,
    "calls": 100_000,
    "tokens": 1_000_000_000,
    "seconds": 30 * 86_400,
}
_WORKFLOW = ("name", "version", "summary", "input", "context", "planner", "constraints", "steps")
_RETRYABLE = tuple(
    category
    for category in ErrorCategory
    if category
    not in (
        ErrorCategory.DENIED,
        ErrorCategory.REJECTED,
        ErrorCategory.CANCELED,
        ErrorCategory.POISON,
        ErrorCategory.CONFLICT,
    )
)

UNDO_RETRY = Retry(on=(ErrorCategory.TRANSIENT, ErrorCategory.RATE_LIMITED), attempts=3)
"""How a compensation is tried when its author does not say."""


class RepeatSource(msgspec.Struct, frozen=True):
    """A loop as written; `max` is None when the author left it out, which the compiler refuses."""

    until: str
    max: int | None


class CompensationSource(msgspec.Struct, frozen=True):
    """What undoes a step or a block, as written."""

    uses: str
    input: dict[str, Any]
    retry: Retry
    timeout: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step as written: it uses a capability, or is a block (`do`). `after` None means: after the one before."""

    id: str
    pointer: str
    uses: str = ""
    do: tuple["Step", ...] = ()
    input: dict[str, Any] = msgspec.field(default_factory=dict)
    after: tuple[str, ...] | None = None
    when: str = ""
    retry: Retry | None = None
    timeout: int | None = None
    on_error: OnError = OnError.FAIL
    fallback: str = ""
    repeat: RepeatSource | None = None
    reviews: str = ""
    reason: str = ""
    limits: Limits | None = None
    compensate: CompensationSource | None = None
    pivot: bool = False


class ContextSource(msgspec.Struct, frozen=True, kw_only=True):
    """One context item as written."""

    id: str
    pointer: str
    uses: str
    input: dict[str, Any]


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as written. `input` is the JSON Schema that the intent's input must fit."""

    name: str
    version: str
    steps: tuple[Step, ...]
    summary: str = ""
    input: dict[str, Any] = msgspec.field(default_factory=dict)
    context: tuple[ContextSource, ...] = ()
    planner: str = ""
    constraints: tuple[str, ...] = ()


def parse_workflow(value: Json) -> Workflow:
    """Read a workflow from a parsed JSON value (from a file, or built by the SDK).

    Raises:
        InvalidWorkflow: Anything is unknown, missing or of a wrong form; all faults are listed.
        NotYet: It is well formed, but uses a form that is not built yet.
    """
    reader = Reader()
    workflow = _workflow(reader, value)
    pending = [item for item in reader.findings if item.code == "not_yet"]
    if pending and len(pending) == len(reader.findings):
        raise NotYet(pending[0].pointer.rpartition("/")[2], pending)
    if reader.findings:
        raise InvalidWorkflow(reader.findings)
    return workflow


def _workflow(reader: Reader, value: Json) -> Workflow:
    members = reader.members(value, "", _WORKFLOW)
    name = reader.required(members, "", "name", _name)
    version = reader.value(members, "", "version", _version, "1.0.0")
    if isinstance(value, dict) and "steps" not in value:
        reader.note("missing_field", "", "'steps' is missing")
    written = reader.items(members.get("steps", []), "/steps", MAX_STEPS)
    if "steps" in members and isinstance(members["steps"], list) and not written:
        reader.note("bad_value", "/steps", f"1 to {MAX_STEPS} steps are expected here")
    steps = tuple(_step(reader, item, child("/steps", at), 1) for at, item in enumerate(written))
    if len(total := tuple(walk(steps))) > MAX_STEPS:
        reader.note("too_many", "/steps", f"{len(total)} steps are over the limit of {MAX_STEPS}")
    context = reader.items(members.get("context", []), "/context", MAX_CONTEXT)
    return Workflow(
        name=name,
        version=version,
        steps=steps,
        summary=reader.value(members, "", "summary", text(2000), ""),
        input=reader.value(members, "", "input", _schema, {}),
        context=tuple(_context(reader, item, child("/context", at)) for at, item in enumerate(context)),
        planner=reader.value(members, "", "planner", _capability, ""),
        constraints=_texts(reader, members.get("constraints", []), "/constraints", MAX_CONSTRAINTS, 200),
    )


def walk(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """List steps in document order, each block before what is inside it."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        found.extend(walk(step.do))
    return tuple(found)


def _step(reader: Reader, value: Json, pointer: str, depth: int) -> Step:
    members = reader.members(value, pointer, (*_STEP, *_NOT_YET))
    for form in _NOT_YET:
        if form in members:
            reader.note("not_yet", child(pointer, form), f"{form!r} is not built yet")
    named = any(form in members for form in _NOT_YET)
    if ("uses" in members) == ("do" in members) and not (named and "uses" not in members):
        reader.note("bad_value", pointer, "a step has either 'uses' (a capability) or 'do' (a list of steps)")
    if "do" in members:
        for name in _LEAF_ONLY:
            if name in members:
                reader.note(
                    "bad_value", child(pointer, name), f"a block takes no {name!r}; give it to a step inside"
                )
    on_error = OnError(reader.value(members, pointer, "on_error", _on_error, OnError.FAIL.value))
    if (on_error is OnError.FALLBACK) != ("fallback" in members):
        reader.note("bad_value", pointer, "'on_error': 'fallback' and a 'fallback' capability come together")
    if members.get("pivot") is True and "compensate" in members:
        detail = "a pivot is what cannot be undone; it has no 'compensate'"
        reader.note("bad_value", child(pointer, "pivot"), detail)
    after = members.get("after")
    return Step(
        id=reader.required(members, pointer, "id", _identifier),
        pointer=pointer,
        uses=reader.value(members, pointer, "uses", _capability, ""),
        do=_block(reader, members["do"], child(pointer, "do"), depth + 1) if "do" in members else (),
        input=reader.value(members, pointer, "input", record, {}),
        after=None if after is None else _texts(reader, after, child(pointer, "after"), MAX_STEPS, 64),
        when=reader.value(members, pointer, "when", text(100_000, 1), ""),
        retry=_retry(reader, members["retry"], child(pointer, "retry")) if "retry" in members else None,
        timeout=reader.value(members, pointer, "timeout", whole(1, 86_400), None),
        on_error=on_error,
        fallback=reader.value(members, pointer, "fallback", _capability, ""),
        repeat=_repeat(reader, members["repeat"], child(pointer, "repeat")) if "repeat" in members else None,
        reviews=reader.value(members, pointer, "reviews", text(500, 1), ""),
        reason=reader.value(members, pointer, "reason", text(500, 1), ""),
        limits=_limits(reader, members["limits"], child(pointer, "limits")) if "limits" in members else None,
        compensate=_compensation(reader, members["compensate"], child(pointer, "compensate"))
        if "compensate" in members
        else None,
        pivot=reader.value(members, pointer, "pivot", _boolean, False),
    )


def _compensation(reader: Reader, value: Json, pointer: str) -> CompensationSource:
    members = reader.members(value, pointer, _COMPENSATION)
    return CompensationSource(
        uses=reader.required(members, pointer, "uses", _capability),
        input=reader.value(members, pointer, "input", record, {}),
        retry=_retry(reader, members["retry"], child(pointer, "retry")) if "retry" in members else UNDO_RETRY,
        timeout=reader.value(members, pointer, "timeout", whole(1, 86_400), None),
    )


def _block(reader: Reader, value: Json, pointer: str, depth: int) -> tuple[Step, ...]:
    if depth > MAX_NESTING + 1:
        reader.note("too_deep", pointer, f"blocks nest at most {MAX_NESTING} deep")
        return ()
    written = reader.items(value, pointer, MAX_STEPS)
    if value == []:
        reader.note("bad_value", pointer, "a block holds at least one step")
    return tuple(_step(reader, item, child(pointer, at), depth) for at, item in enumerate(written))


def _context(reader: Reader, value: Json, pointer: str) -> ContextSource:
    members = reader.members(value, pointer, ("id", "uses", "input"))
    return ContextSource(
        id=reader.required(members, pointer, "id", _identifier),
        pointer=pointer,
        uses=reader.required(members, pointer, "uses", _capability),
        input=reader.value(members, pointer, "input", record, {}),
    )


def _retry(reader: Reader, value: Json, pointer: str) -> Retry:
    members = reader.members(value, pointer, ("on", "attempts", "backoff_seconds", "factor", "max_seconds"))
    written = _texts(reader, members.get("on", []), child(pointer, "on"), len(ErrorCategory), 40)
    if not written:
        reader.note("missing_field", pointer, "'on' names the error categories that get another attempt")
    known = [category.value for category in _RETRYABLE]
    for at, name in enumerate(written):
        if name not in known:
            place = child(child(pointer, "on"), at)
            reader.note("bad_value", place, f"{name!r} cannot be retried; these can: {', '.join(known)}")
    return Retry(
        on=tuple(ErrorCategory(name) for name in written if name in known),
        attempts=reader.value(members, pointer, "attempts", whole(1, 10), 3),
        backoff_seconds=float(reader.value(members, pointer, "backoff_seconds", number(0, 3600), 1.0)),
        factor=float(reader.value(members, pointer, "factor", number(1, 10), 2.0)),
        max_seconds=float(reader.value(members, pointer, "max_seconds", number(0, 86_400), 60.0)),
    )


def _limits(reader: Reader, value: Json, pointer: str) -> Limits:
    members = reader.members(value, pointer, tuple(_LIMITS))
    return Limits(
        **{
            name: reader.value(members, pointer, name, whole(1, most), getattr(Limits(), name))
            for name, most in _LIMITS.items()
        }
    )


def _repeat(reader: Reader, value: Json, pointer: str) -> RepeatSource:
    members = reader.members(value, pointer, ("until", "max"))
    most: int | None = reader.value(members, pointer, "max", whole(-(2**31), 2**31), None)
    return RepeatSource(reader.required(members, pointer, "until", text(100_000, 1)), most)


def _texts(reader: Reader, value: Json, pointer: str, most: int, longest: int) -> tuple[str, ...]:
    found: list[str] = []
    for at, item in enumerate(reader.items(value, pointer, most)):
        if isinstance(item, str) and 0 < len(item) <= longest:
            found.append(item)
        else:
            reader.note(
                "bad_value", child(pointer, at), f"a string of 1 to {longest} characters is expected here"
            )
    return tuple(found)


def _boolean(value: Json) -> str | None:
    return None if isinstance(value, bool) else "true or false is expected here"


def _identifier(value: Json) -> str | None:
    good = isinstance(value, str) and _ID.match(value)
    return (
        None if good else "an id is lower-case letters, digits and hyphens, starts with a letter, at most 64"
    )


def _name(value: Json) -> str | None:
    good = isinstance(value, str) and _NAME.match(value)
    return (
        None if good else "a name is lower-case letters, digits, '-', '_' and '.', and starts with a letter"
    )


def _version(value: Json) -> str | None:
    good = isinstance(value, str) and satisfies(value, CapabilityRef(""))
    return None if good else "a version is MAJOR.MINOR.PATCH"


def _capability(value: Json) -> str | None:
    try:
        parse_ref(value if isinstance(value, str) else "")
    except InvalidReference as refusal:
        return refusal.remedy
    return None


def _schema(value: Json) -> str | None:
    if not isinstance(value, dict):
        return "a JSON Schema (an object) is expected here"
    try:
        validator_for(value)
    except InvalidSchema as refusal:
        return refusal.message
    return None


def _on_error(value: Json) -> str | None:
    known = [item.value for item in OnError]
    return None if value in known else f"one of {', '.join(known)} is expected here"
