"""Probes: a read-only tool that says whether an effect was applied; what it is handed, and the few things it answers."""

from enum import StrEnum
from typing import Any, Final

from bailiwick.contract.capability import Contract, EffectClass, Kind
from bailiwick.contract.schema import validator_for


class ProbeAnswer(StrEnum):
    """What a probe says of an effect."""

    APPLIED = "applied"
    NOT_APPLIED = "not-applied"
    CANNOT_TELL = "cannot-tell"


PROBE_OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "answer": {"enum": [answer.value for answer in ProbeAnswer]},
        "reference": {"type": "string", "maxLength": 2000},
        "output": {"type": ["object", "null"]},
    },
    "required": ["answer"],
    "additionalProperties": False,
}
"""What every probe answers: whether it was applied, and if so what it is found by and what it answered."""

_GIVEN = {"key": "eff_0", "arguments": {}}


def probe_fault(probe: Contract) -> str:
    """Say why a tool cannot be a probe; empty when it can.

    It only reads, costs nothing, and takes the effect's `key` and the `arguments` that the action was made with.
    """
    if probe.kind is not Kind.TOOL or probe.effect is not EffectClass.READ_ONLY or probe.price_micro_usd:
        return "a probe is a read-only tool without a price"
    if not validator_for(probe.input).fits(_GIVEN):
        return "a probe takes `key`, a text, and `arguments`, an object"
    return ""


def answer_of(outcome: Any) -> ProbeAnswer:
    """Read what a probe says; whatever is not of the form tells nothing."""
    if not validator_for(PROBE_OUTPUT).fits(outcome):
        return ProbeAnswer.CANNOT_TELL
    return ProbeAnswer(outcome["answer"])
