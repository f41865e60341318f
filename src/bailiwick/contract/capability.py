"""What a capability promises: its contract, as data that planners, the gate and people read alike."""

from enum import StrEnum
from typing import Any, Final

import msgspec

from bailiwick.base import Category, Digest, Json, Refusal, canonical, digest_of
from bailiwick.contract.schema import InvalidSchema, validator_for
from bailiwick.contract.version import InvalidReference, parse_ref, parse_version


class Kind(StrEnum):
    """Who provides the capability."""

    AGENT = "agent"
    TOOL = "tool"
    MODEL = "model"


class EffectClass(StrEnum):
    """What a call may do to the world, and therefore what may happen after a crash in its middle."""

    READ_ONLY = "read-only"
    METERED = "metered"
    IDEMPOTENT_WRITE = "idempotent-write"
    EXTERNAL_ACTION = "external-action"


class WorkspaceUse(StrEnum):
    """How a call touches the run's working tree."""

    NONE = "none"
    READS = "reads"
    WRITES = "writes"


class ErrorCategory(StrEnum):
    """Why a step or a call failed; retry, fallback and hand-over are routed by it."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate-limited"
    TIMEOUT = "timeout"
    INVALID_OUTPUT = "invalid-output"
    DENIED = "denied"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    POISON = "poison"
    CANCELED = "canceled"
    TOOL_FAILED = "tool-failed"
    CONFLICT = "conflict"
    INTERNAL = "internal"


DEFAULT_IN_FLIGHT_SECONDS: Final = 120
"""Longer than the systems that we run on resend for a process that is gone; a tool behind queues must say more."""


MAX_TRIES: Final = 3
"""How often an idempotent write goes out before nobody but a person, or a probe, can say what became of it."""

_PAUSE_SECONDS = 5


class Contract(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One version of one capability.

    `input` and `output` are JSON Schemas (2020-12) of objects. `allowed_apis` names the hosts or
    resources that the provider may reach; `credentials` the references that its host resolves.
    `key_kept_seconds` says how long an idempotent tool remembers a key: None means for ever.
    `in_flight_seconds` says how long after its timeout a call may still arrive at the other side.
    `probe` names a read-only tool that says whether a call was applied (see `contract/probe.py`).
    Money is in micro-USD, durations in seconds.
    """

    name: str
    version: str
    kind: Kind
    effect: EffectClass
    input: dict[str, Any]
    output: dict[str, Any]
    summary: str = ""
    tags: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    allowed_apis: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    failure_modes: tuple[ErrorCategory, ...] = ()
    trace_fields: tuple[str, ...] = ()
    slo: dict[str, int] = msgspec.field(default_factory=dict)
    data_boundary: str = "tenant"
    workspace: WorkspaceUse = WorkspaceUse.NONE
    timeout_seconds: int = 60
    key_kept_seconds: int | None = None
    in_flight_seconds: int = DEFAULT_IN_FLIGHT_SECONDS
    price_micro_usd: int = 0
    probe: str = ""
    code: str = ""

    @property
    def attempt_seconds(self) -> int:
        """How long an attempt of a step that is this call may take; of an idempotent write, with all of its tries."""
        if self.effect is not EffectClass.IDEMPOTENT_WRITE:
            return self.timeout_seconds
        return (self.timeout_seconds + _PAUSE_SECONDS) * MAX_TRIES

    @property
    def quarantine_seconds(self) -> int:
        """How long after its dispatch a call whose outcome is unknown may still take effect."""
        return self.timeout_seconds + self.in_flight_seconds

    @property
    def ref(self) -> str:
        """The exact name, for example `git.apply@1.0.0`."""
        return f"{self.name}@{self.version}"


class InvalidContract(Refusal, code="invalid_contract", category=Category.INVALID):
    """A contract does not say what a contract must say."""

    name: str
    reason: str
    says = "the contract {name!r} is not valid: {reason}"
    remedy = "correct the contract; docs/concepts.md lists its fields"


def parse_contract(value: Json) -> Contract:
    """Check a contract that came as data.

    Raises:
        InvalidContract: A field is missing, unknown, of another type, or the schemas are not schemas.
    """
    try:
        contract = msgspec.convert(value, Contract)
    except msgspec.ValidationError as error:
        name = str(value.get("name", "?")) if isinstance(value, dict) else "?"
        raise InvalidContract(name[:80], str(error)) from error
    fault = _fault_of(contract)
    if fault:
        raise InvalidContract(contract.name[:80], fault)
    return contract


def _fault_of(contract: Contract) -> str:
    """Say what the types let through and a contract must not; empty when there is nothing."""
    if parse_version(contract.version) is None:
        return f"{contract.version[:40]!r} is not MAJOR.MINOR.PATCH"
    if contract.in_flight_seconds < 0:
        return "the time that a call may stay in flight is never negative"
    if contract.timeout_seconds < 1 or contract.price_micro_usd < 0 or (contract.key_kept_seconds or 0) < 0:
        return "a timeout is at least 1 s; a price and the time a key is kept are never negative"
    try:
        if parse_ref(contract.name).floor:
            return "the name carries a version; `version` does that"
        if contract.probe:
            parse_ref(contract.probe)
        validator_for(contract.input)
        validator_for(contract.output)
    except (InvalidReference, InvalidSchema) as refusal:
        return refusal.message
    return ""


def contract_digest(contract: Contract) -> Digest:
    """Name a contract by its content; `code` (a fingerprint of the implementation) is no part of it.

    A run pins contracts by this digest, so an edit of code strands no run.
    """
    value = msgspec.to_builtins(contract)
    value.pop("code", None)
    return digest_of(canonical(value))
