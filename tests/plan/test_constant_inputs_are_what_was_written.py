"""An input that cites nothing is what its author wrote; one dollar sign anywhere, and it is read as a template."""

from typing import Any

import pytest

from bailiwick.plan import Node, NodeKind, Plan

CITES = ({"a": "$.intent.x"}, {"a": ["${$.intent.x}"]}, {"a": "$$.intent"}, {"a": "$${"}, {"$": 1})


def plan_of(given: dict[str, Any]) -> Plan:
    node = Node(id="work", kind=NodeKind.TOOL, uses="tool@1.0.0", contract="", input=given)
    return Plan(name="flow", version="1.0.0", objective="", nodes=(node,))


@pytest.mark.parametrize("given", CITES)
def test_an_input_with_a_dollar_sign_is_no_constant(given: dict[str, Any]) -> None:
    assert not plan_of(given).is_constant("work")


def test_an_input_that_cites_nothing_is_a_constant() -> None:
    assert plan_of({"a": ["text", 1, None, {"b": 0.5}]}).is_constant("work")
