"""Intents: what a client asks for, read from strict JSON."""

from typing import Any

import msgspec

from bailiwick.base import Json
from bailiwick.service.refusals import InvalidIntent


class IntentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client asks for. Money as decimal text in USD; the deadline as RFC 3339, or in seconds from now.

    `environment` says where it executes, apart from what is asked: `region` and `scope` (of credentials),
    labels that policies read; in one that is called production nothing is written.
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
