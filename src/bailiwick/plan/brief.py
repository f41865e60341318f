"""The brief: what a planner says in words, the schema it is held to, and the check that it forgot no constraint."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.base import Json
from bailiwick.contract import validator_for
from bailiwick.plan.findings import Finding

MAX_OBJECTIVE = 500
MAX_BRIEF_STEPS = 20
MAX_BRIEF_STEP = 300
MAX_BRIEF_CONSTRAINTS = 32


class Brief(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objective, steps and constraints in words; each constraint is a phrase that a rule checks."""

    objective: str
    steps: tuple[str, ...]
    constraints: tuple[str, ...] = ()


def brief_schema(phrases: Iterable[str]) -> dict[str, Any]:
    """Make the JSON Schema of a brief whose constraints are exactly the phrases that rules know."""
    known = list(phrases)
    constraints: dict[str, Any] = {"type": "array", "maxItems": 0}
    if known:
        constraints = {
            "type": "array",
            "items": {"type": "string", "enum": known},
            "maxItems": MAX_BRIEF_CONSTRAINTS,
            "uniqueItems": True,
        }
    step = {"type": "string", "minLength": 1, "maxLength": MAX_BRIEF_STEP}
    return {
        "type": "object",
        "properties": {
            "objective": {"type": "string", "minLength": 1, "maxLength": MAX_OBJECTIVE},
            "steps": {"type": "array", "items": step, "minItems": 1, "maxItems": MAX_BRIEF_STEPS},
            "constraints": constraints,
        },
        "required": ["objective", "steps", "constraints"],
        "additionalProperties": False,
    }


def normal_phrase(phrase: str) -> str:
    """Bring a constraint to the form in which constraints are compared: casefolded, white space evened out."""
    return " ".join(phrase.split()).casefold()


def check_brief(value: Json, phrases: Iterable[str], asked: Iterable[str]) -> tuple[Finding, ...]:
    """List what is wrong with a planner's answer; none means that `parse_brief` may read it.

    Args:
        value: The answer, parsed.
        phrases: The constraints that rules know.
        asked: The constraints of the intent and the workflow; a brief repeats every one.
    """
    known = tuple(phrases)
    found: list[Finding] = []
    for error in validator_for(brief_schema(known)).errors(value):
        unknown = error.pointer.startswith("/constraints/")
        found.append(
            Finding("unknown_constraint" if unknown else "invalid_brief", error.pointer, error.detail)
        )
    if not found:
        repeated = [normal_phrase(phrase) for phrase in value["constraints"]]
        for constraint in asked:
            if normal_phrase(constraint) not in repeated:
                detail = f"the constraint {constraint!r} of the intent is missing"
                found.append(Finding("missing_constraint", "/constraints", detail))
    return tuple(found)


def parse_brief(value: Json) -> Brief:
    """Read a brief that `check_brief` found nothing wrong with.

    Raises:
        msgspec.ValidationError: It was not checked, and is no brief.
    """
    return msgspec.convert(value, Brief)
