"""Contracts as data: what is refused, and what their digest names."""

import copy
from typing import Any

import msgspec
import pytest

from bailiwick.contract import (
    Contract,
    EffectClass,
    InvalidContract,
    Kind,
    WorkspaceUse,
    contract_digest,
    parse_contract,
)

APPLY: dict[str, Any] = {
    "name": "git.apply",
    "version": "1.0.0",
    "kind": "tool",
    "effect": "idempotent-write",
    "input": {"type": "object", "properties": {"diff": {"type": "string"}}},
    "output": {"type": "object"},
    "tags": ["git"],
    "slo": {"p95_ms": 2000},
    "key_kept_seconds": 3600,
    "workspace": "reads",
}


def with_field(name: str, value: object) -> dict[str, Any]:
    return {**copy.deepcopy(APPLY), name: value}


def test_a_contract_is_read_with_its_types() -> None:
    contract = parse_contract(APPLY)
    assert contract.ref == "git.apply@1.0.0"
    assert contract.kind is Kind.TOOL
    assert contract.effect is EffectClass.IDEMPOTENT_WRITE
    assert contract.workspace is WorkspaceUse.READS
    assert contract.tags == ("git",)


@pytest.mark.parametrize("missing", ["name", "version", "kind", "effect", "input", "output"])
def test_no_required_field_may_be_missing(missing: str) -> None:
    value = {name: part for name, part in APPLY.items() if name != missing}
    with pytest.raises(InvalidContract) as refusal:
        parse_contract(value)
    assert missing in refusal.value.facts["reason"]


FAULTS = {
    "a field nobody knows": ("colour", "red"),
    "a name in capitals": ("name", "Git"),
    "a name with a version": ("name", "git@1"),
    "an empty name": ("name", ""),
    "a version of two parts": ("version", "1.0"),
    "a version as a number": ("version", 1),
    "an unknown effect class": ("effect", "harmless"),
    "an unknown kind": ("kind", "wizard"),
    "an input that is no schema": ("input", {"type": "nope"}),
    "an output that is no schema": ("output", {"$ref": "http://example.invalid/x"}),
    "an input that is no object": ("input", True),
    "no time at all": ("timeout_seconds", 0),
    "a price that pays": ("price_micro_usd", -1),
    "a price in floats": ("price_micro_usd", 0.5),
    "keys kept for less than nothing": ("key_kept_seconds", -1),
    "an unknown failure mode": ("failure_modes", ["bored"]),
}


@pytest.mark.parametrize(("name", "value"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_refused_with_the_contracts_name(name: str, value: object) -> None:
    with pytest.raises(InvalidContract) as refusal:
        parse_contract(with_field(name, value))
    assert refusal.value.code == "invalid_contract"
    assert refusal.value.facts["name"] == (value if name == "name" else "git.apply")
    assert refusal.value.facts["reason"]


@pytest.mark.parametrize("value", [None, [], "git.apply", 7, {}, {"name": ["x"] * 10_000}])
def test_what_is_no_contract_at_all_is_refused(value: object) -> None:
    with pytest.raises(InvalidContract) as refusal:
        parse_contract(value)
    assert len(refusal.value.message) < 500


def test_an_edit_of_code_does_not_change_the_digest() -> None:
    one, other = parse_contract(with_field("code", "abc")), parse_contract(with_field("code", "def"))
    assert contract_digest(one) == contract_digest(other) == contract_digest(parse_contract(APPLY))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "1.0.1"),
        ("effect", "external-action"),
        ("input", {"type": "object"}),
        ("timeout_seconds", 61),
        ("allowed_apis", ["api.example.invalid"]),
        ("key_kept_seconds", 3601),
    ],
)
def test_any_other_change_changes_the_digest(name: str, value: object) -> None:
    assert contract_digest(parse_contract(with_field(name, value))) != contract_digest(parse_contract(APPLY))


def test_a_default_written_out_is_the_same_contract() -> None:
    spelled_out = parse_contract({**APPLY, "timeout_seconds": 60, "summary": "", "permissions": []})
    assert contract_digest(spelled_out) == contract_digest(parse_contract(APPLY))


def test_a_contract_comes_back_from_its_own_data() -> None:
    contract = parse_contract(APPLY)
    assert parse_contract(msgspec.to_builtins(contract)) == contract
    assert isinstance(contract, Contract)
