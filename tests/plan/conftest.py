"""A small catalogue that the tests of the plan room compile against."""

from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind
from bailiwick.plan import Plan, PlanRefused, builtin_rules, compile_workflow, parse_workflow

OPEN = {"type": "object"}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def contract(
    name: str, kind: Kind = Kind.TOOL, effect: EffectClass = EffectClass.READ_ONLY, **rest: Any
) -> Contract:
    fields = {"version": "1.0.0", "input": OPEN, "output": OPEN, **rest}
    return Contract(name=name, kind=kind, effect=effect, **fields)


TEXT = {"type": "string"}
_ALL = (
    contract("noop"),
    contract("noop", version="1.2.0"),
    contract("noop", version="2.0.0"),
    contract("read", input=closed(path=TEXT), output=closed(text=TEXT, lines={"type": "integer"})),
    contract("write", effect=EffectClass.IDEMPOTENT_WRITE, price_micro_usd=400, input=closed(text=TEXT)),
    contract("forgetful", effect=EffectClass.IDEMPOTENT_WRITE, key_kept_seconds=0),
    contract("mail", effect=EffectClass.EXTERNAL_ACTION),
    contract("careful", effect=EffectClass.EXTERNAL_ACTION, failure_modes=(ErrorCategory.TIMEOUT,)),
    contract("plan", Kind.AGENT, output=OPEN),
    contract(
        "review",
        Kind.AGENT,
        tools=("read@1",),
        output=closed(verdict={"enum": ["pass", "send-back"]}, findings={"type": "array", "items": TEXT}),
    ),
    contract("confused", Kind.AGENT, tools=("nowhere@1",)),
)


@pytest.fixture
def catalogue() -> dict[str, dict[str, Contract]]:
    found: dict[str, dict[str, Contract]] = {}
    for item in _ALL:
        found.setdefault(item.name, {})[item.version] = item
    return found


Compile = Callable[..., Plan]


@pytest.fixture
def build(catalogue: dict[str, dict[str, Contract]]) -> Compile:
    """Compile a workflow from its steps, and further fields by name."""

    def compile_steps(*steps: Any, constraints: Any = (), budget: int | None = None, **fields: Any) -> Plan:
        workflow = parse_workflow({"name": "w", "steps": list(steps), **fields})
        return compile_workflow(workflow, catalogue, builtin_rules(), constraints, budget_micro_usd=budget)

    return compile_steps


@pytest.fixture
def faults(build: Compile) -> Callable[..., list[tuple[str, str]]]:
    """List (code, pointer) of all findings; a workflow that compiles has none."""

    def list_faults(*steps: Any, **fields: Any) -> list[tuple[str, str]]:
        try:
            build(*steps, **fields)
        except PlanRefused as refusal:
            return [(item["code"], item["pointer"]) for item in refusal.facts["findings"]]
        return []

    return list_faults
