"""Intents: what a client asks for, read from strict JSON."""

from typing import Any

import msgspec

from bailiwick.base import Json, canonical
from bailiwick.service.core.bounds import (
    MAX_BYTES,
    MAX_CONSTRAINTS,
    MAX_NAME,
    MAX_TITLE,
    InputTooLarge,
    TooMany,
    labels_within,
    within,
)
from bailiwick.service.core.refusals import InvalidIntent


class IntentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client asks for. Money as decimal text in USD; the deadline as RFC 3339, or in seconds from now.

    `environment` says where it executes, apart from what is asked: `region` and `scope` (of credentials),
    labels that policies read; in one that is called production nothing is written. `priority`, from -3 to 3, says
    which of a tenant's runs of one app go first.
    """

    app: str
    workflow: str
    title: str = ""
    input: dict[str, Any] = {}
    constraints: tuple[str, ...] = ()
    budget_usd: str = "1.00"
    deadline: str = ""
    deadline_seconds: int = 0
    labels: dict[str, str] = {}
    environment: dict[str, str] = {}
    priority: int = 0


def parse_intent(value: Json) -> IntentRequest:
    """Read an intent from strict JSON.

    Raises:
        InvalidIntent: A field is unknown, missing, or of another type; the place is in the facts.
    """
    try:
        return msgspec.convert(value, IntentRequest)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        pointer = place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise InvalidIntent(pointer, detail) from error


def bounded(intent: IntentRequest) -> bytes:
    """Hold an intent to the lengths that a record keeps, whoever made it; answer its canonical bytes.

    Raises:
        TextTooLong, TooMany, InputTooLarge: It is larger; nothing was written.
    """
    within(
        MAX_NAME,
        app=intent.app,
        workflow=intent.workflow,
        budget_usd=intent.budget_usd,
        deadline=intent.deadline,
    )
    within(MAX_TITLE, title=intent.title)
    labels_within("labels", intent.labels)
    labels_within("environment", intent.environment)
    if len(intent.constraints) > MAX_CONSTRAINTS:
        raise TooMany("/constraints", len(intent.constraints), MAX_CONSTRAINTS)
    for index, constraint in enumerate(intent.constraints):
        within(MAX_TITLE, **{f"constraints/{index}": constraint})
    said = msgspec.to_builtins(intent)
    if not intent.priority:
        del said[
            "priority"
        ]  # a repeat is known by these bytes: a field that came later counts where it is used
    body = canonical(said)
    if len(body) > MAX_BYTES:
        raise InputTooLarge(len(body), MAX_BYTES)
    return body
