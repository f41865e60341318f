"""The facts of a run's stream. A fact is what happened; its payload, erasable, lies beside it."""

import typing
from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.base import Digest, Instant
from bailiwick.contract import ErrorCategory
from bailiwick.run.standing import Standing
from bailiwick.run.state import Admission, Call, Fund, Wait
from bailiwick.run.states import Status, StepStatus


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step instance came into a state.

    `output` says that this event's payload holds the step's output under "output"; `served` names the
    exact capability version that serves the attempt; `policies` and `when` are the decisions taken;
    `attests` is the digest that a passed review stands for; `findings` are the architect rules' results;
    `aside` is what is set aside for the step's compensation, in micro-USD; `tree` is the workspace with which the step
    begins or, once it has begun, the one that it leaves, and `merged` names whose workspaces were merged for that;
    `standing` is why it is blocked (None in older logs, which say it in prose alone).
    """

    step: str
    to: StepStatus
    attempt: int = 1
    epoch: int = 0
    session: str = ""
    wait: Wait | None = None
    category: ErrorCategory | None = None
    reason: str = ""
    output: bool = False
    output_digest: str = ""
    input_digest: str = ""
    served: str = ""
    policies: tuple[str, ...] = ()
    policy_version: str = ""
    when: bool | None = None
    until: bool | None = None
    attests: str = ""
    tree: str | None = None
    iteration: int = 0
    fallback: bool = False
    call: str = ""
    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    aside: int = 0
    merged: tuple[str, ...] = ()
    standing: Standing | None = None


class Created(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.created"):
    """An intent was accepted. Pins (contracts, prompts, models, what constraints mean) are written here once, and what they name is kept;
    `catalogue` is the digest of all contracts of the app; `edition` says by which facts policy decides (see `EDITION`).
    `priority` 0 is the usual one.
    Payload: {"intent"}, and {"brief"} where the workflow's own text is the brief.
    """

    run: str
    tenant: str
    app: str
    workflow: str
    title: str
    requested_by: str
    plan: Digest
    policy_version: str
    allotment: int
    created_at: Instant
    deadline: Instant
    feature: str = ""
    team: str = ""
    trace: str = ""
    tree: str = ""
    pins: dict[str, Any] = {}
    environment: dict[str, str] = {}
    catalogue: str = ""
    moves: tuple[Move, ...] = ()
    funds: tuple[Fund, ...] = ()
    admission: Admission | None = None
    edition: int = 0
    priority: int = 0


class StepsMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="steps.moved"):
    """Steps came into new states. Payload: {"output"} when a move says so."""

    at: Instant
    moves: tuple[Move, ...]


class CallMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="action.moved"):
    """An action came into a new state of the journal. Payload: {"action"} and/or {"outcome"}."""

    at: Instant
    call: Call
    moves: tuple[Move, ...] = ()


class Escalated(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="action.escalated"):
    """Nobody answered the request about a held action in time: these groups may answer it as well from here on."""

    at: Instant
    key: str
    approval: str
    to: tuple[str, ...]
    moves: tuple[Move, ...] = ()


class AttemptRefused(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="attempt.refused"
):
    """The holder of a step asked for something that became no action: an unknown tool, arguments off their schema.

    It stands for `count` attempts, of which `capability` and `digest` name the latest. Payload: {"attempt", "reason"}.
    """

    at: Instant
    step: str
    code: str
    capability: str = ""
    digest: str = ""
    count: int = 1
    moves: tuple[Move, ...] = ()


class CancelRequested(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.cancel_requested"
):
    """Somebody asked the run to end; it is canceled once nothing runs."""

    at: Instant
    by: str
    reason: str = ""
    moves: tuple[Move, ...] = ()


class DeadlinePassed(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.deadline_passed"
):
    """The run's deadline passed before its plan was done."""

    at: Instant
    moves: tuple[Move, ...] = ()


class Closed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.closed"):
    """The run came to its end; there is one such event, and after a rollback one more."""

    at: Instant
    status: Status
    category: ErrorCategory | None = None
    reason: str = ""
    moves: tuple[Move, ...] = ()


class RollbackRequested(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.rollback_requested"
):
    """Somebody asked that what the run did be undone; from here on it compensates."""

    at: Instant
    by: str
    reason: str = ""
    moves: tuple[Move, ...] = ()


class AllotmentRaised(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.allotment_raised"
):
    """Somebody gave the run more money to spend, in micro-USD."""

    at: Instant
    by: str
    amount: int
    moves: tuple[Move, ...] = ()
    funds: tuple[Fund, ...] = ()


class Quarantined(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.quarantined"):
    """The log and the projection disagreed. With this event the projection was written anew from the log."""

    at: Instant
    reason: str
    moves: tuple[Move, ...] = ()


class QuarantineLifted(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.quarantine_lifted"
):
    """Somebody has looked into it, and lets the run go on."""

    at: Instant
    by: str
    moves: tuple[Move, ...] = ()


Event = (
    Created
    | StepsMoved
    | CallMoved
    | AttemptRefused
    | Escalated
    | CancelRequested
    | DeadlinePassed
    | AllotmentRaised
    | Quarantined
    | QuarantineLifted
    | RollbackRequested
    | Closed
)


def moved_in(events: Iterable[Event]) -> tuple[str, ...]:
    """Name the steps that events move, each once."""
    return tuple(dict.fromkeys(move.step for event in events for move in event.moves))


_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def decode_event(header: bytes) -> Event:
    """Read the fact out of a sealed header; what else the header holds (stream, seq, actor …) is ignored."""
    return _decoder.decode(header)


def instants_in(kind: Any) -> tuple[str, ...]:
    """Name the fields that hold an instant, in a struct and in all that it holds."""
    found: dict[str, None] = {}
    parts = [kind]
    for part in parts:
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            for name, hint in typing.get_type_hints(part).items():
                found |= {name: None} if hint is Instant else {}
                parts += [] if hint in parts else [hint]
        else:
            parts += [inner for inner in typing.get_args(part) if inner not in parts]
    return tuple(found)


def event_schemas() -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the JSON Schema of every kind of event, and of what they hold, from the structs that decode them."""
    structs = typing.get_args(Event)
    named, definitions = msgspec.json.schema_components(structs, ref_template="#/definitions/{name}")
    kinds = {
        str(struct.__struct_config__.tag): definitions.pop(struct.__name__)
        for struct, _ in zip(structs, named, strict=True)
    }
    return kinds, definitions
