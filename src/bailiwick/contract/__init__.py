"""Floor 1: the contract of a capability, the versions it comes in, and the schemas it holds data to."""

from bailiwick.contract.capability import (
    MAX_TRIES,
    Contract,
    EffectClass,
    ErrorCategory,
    InvalidContract,
    Kind,
    WorkspaceUse,
    contract_digest,
    parse_contract,
)
from bailiwick.contract.form import form_of
from bailiwick.contract.probe import PROBE_OUTPUT, ProbeAnswer, answer_of, probe_fault
from bailiwick.contract.schema import InvalidSchema, SchemaError, Validator, validator_for
from bailiwick.contract.serving import fault_of_serving
from bailiwick.contract.version import CapabilityRef, InvalidReference, parse_ref, satisfies, select_version

__all__ = [
    "MAX_TRIES",
    "PROBE_OUTPUT",
    "CapabilityRef",
    "Contract",
    "EffectClass",
    "ErrorCategory",
    "InvalidContract",
    "InvalidReference",
    "InvalidSchema",
    "Kind",
    "ProbeAnswer",
    "SchemaError",
    "Validator",
    "WorkspaceUse",
    "answer_of",
    "contract_digest",
    "fault_of_serving",
    "form_of",
    "parse_contract",
    "parse_ref",
    "probe_fault",
    "satisfies",
    "select_version",
    "validator_for",
]
