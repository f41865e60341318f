"""The parsers that meet text from outside, each with a text that it takes."""

import json

import pytest
from starlette.requests import Request

from bailiwick.audit.note import open_text, parse_verifier_key
from bailiwick.audit.witness import read_growth
from bailiwick.base import canonical, parse_strict
from bailiwick.contract import parse_contract, parse_ref
from bailiwick.http.events import MAX_SEQ, _number
from bailiwick.http.intake import idempotency_key_of
from bailiwick.http.trace import incoming
from bailiwick.plan.conditions import check_condition, holds
from bailiwick.plan.references import parse_reference, references_in, resolve
from bailiwick.plan.source import parse_workflow
from bailiwick.ports import Outcome, read_wire
from bailiwick.tools import parse_address, parse_patch

PATCH = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n"
WORKFLOW = {
    "name": "w", "version": "1.0.0", "title": "t", "input": {"type": "object"}, "constraints": ["single file only"],
    "steps": [
        {"id": "a", "uses": "noter@1", "input": {"text": "$.intent.input.text"}, "when": "true", "retry": {"attempts": 2}},
        {"id": "b", "do": [{"id": "c", "uses": "x", "input": {}}], "repeat": {"until": "true", "max": 3}},
    ],
}  # fmt: skip
RECORDING = {"name": "r", "rules": [{"when": {"model": "m"}, "reply": {"text": "hello {{x}}"}}]}
POLICY = (
    '@id("a.b")\npermit (principal, action == Action::"tool.call", resource) when { resource.name == "x" };\n'
)
OUTCOME = {
    "key": "k",
    "tenant": "t",
    "run": "r",
    "step": "s",
    "epoch": 1,
    "state": "done",
    "outcome": {"a": [1]},
}


def strict(body):
    value = parse_strict(body)
    assert parse_strict(canonical(value)) == value
    assert canonical(parse_strict(canonical(value))) == canonical(value)


def text_of(body):
    return body.decode("utf-8", "replace")


def headers(body):
    scope = {"type": "http", "headers": [(b"idempotency-key", body)]}
    with pytest.raises(StopIteration) as ended:
        idempotency_key_of(Request(scope)).send(None)
    assert 1 <= len(ended.value.value) <= 255


def references(body):
    value = parse_strict(body)
    references_in(value)
    resolve(value, {"intent": {"input": {"text": "x"}}})


def condition(body):
    check_condition(text_of(body))
    holds(text_of(body), {"steps": {"a": {"output": {"n": 1}}}, "intent": {}, "previous": None})


PARSERS = {
    "strict json": (strict, json.dumps(OUTCOME)),
    "workflow": (lambda body: parse_workflow(parse_strict(body)), json.dumps(WORKFLOW)),
    "contract": (lambda body: parse_contract(parse_strict(body)), json.dumps({"name": "a", "version": "1.0.0", "kind": "tool"})),
    "capability reference": (lambda body: parse_ref(text_of(body)), "shop.read@1.2"),
    "patch": (parse_patch, PATCH),
    "last-event-id": (lambda body: _number(text_of(body), "/header/Last-Event-ID", 0, 0, MAX_SEQ), "17"),
    "traceparent": (lambda body: incoming(text_of(body)), "00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
    "idempotency-key": (headers, '"k-1"'),
    "condition": (condition, "steps.a.output.n > 1 && [1, 2].exists(x, x == 2)"),
    "reference": (lambda body: parse_reference(text_of(body)), "$.steps.a.output.items[0].name"),
    "references": (references, json.dumps(WORKFLOW["steps"][0])),
    "witness request": (read_growth, "old 5\nAAAA\n\nname\n6\n" + "A" * 43 + "=\n\n\u2014 name AAAA\n"),
    "note": (lambda body: open_text(text_of(body), [parse_verifier_key("a+2ea0cdf6+AQ" + "A" * 42)]), "a\n1\n\n\u2014 a AAAA\n"),
    "verifier key": (lambda body: parse_verifier_key(text_of(body)), "a+00000000+AQ" + "A" * 42),
    "address": (lambda body: parse_address(text_of(body)), "https://user@[::1]:80/a?b#c"),
    "worker's message": (lambda body: read_wire(body, Outcome), json.dumps(OUTCOME)),
}  # fmt: skip
