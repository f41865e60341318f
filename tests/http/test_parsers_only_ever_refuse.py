"""Whatever text comes to whatever parser: a value or the parser's own refusal, in bounded time; nothing else is raised."""

import json
import os
import random
import time

import pytest
from hostile_corpus import BODIES, HEADERS, IDS, QUERY
from starlette.requests import Request

from bailiwick.audit.note import open_text, parse_verifier_key
from bailiwick.audit.witness import read_growth
from bailiwick.base import Refusal, canonical, parse_strict
from bailiwick.contract import parse_contract, parse_ref
from bailiwick.http.events import MAX_SEQ, _number
from bailiwick.http.intake import idempotency_key_of
from bailiwick.http.trace import incoming
from bailiwick.plan.conditions import check_condition, holds
from bailiwick.plan.references import parse_reference, references_in, resolve
from bailiwick.plan.source import parse_workflow
from bailiwick.policy import build_bundle
from bailiwick.ports import Outcome, read_wire
from bailiwick.testing.recording import load_recording
from bailiwick.tools import parse_address, parse_patch
from bailiwick.wiring.compiler import run_policy_compiler

LONG = bool(os.environ.get("BAILIWICK_LONG"))
CASES = 6_000 if LONG else 300
CPU_SECONDS = 0.25
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
SEEDS = [
    *(body for body in BODIES.values() if len(body) < 1_200_000),
    *(each.encode("utf-8", "surrogatepass") for each in (*IDS, *QUERY, *(value for _, value in HEADERS))),
]
PIECES = (
    b"\0",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"[",
    b"(",
    b"$.",
    b"@",
    b"-1",
    b"9" * 30,
    b"\n",
    b"\r",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"{{",
    b"::",
)


def mutated(chance, seed):
    """Cut, double, swap and spoil a good text in a few places."""
    body = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(4):
            case 0:
                body[at : at + chance.randint(1, 8)] = b""
            case 1:
                body[at:at] = chance.choice(PIECES) * chance.choice((1, 1, 2, 200))
            case 2:
                body[at:at] = body[: chance.randint(0, 40)]
            case _:
                body[at : at + 1] = bytes([chance.randrange(256)])
    return bytes(body)


def check(name, parse, body):
    for attempt in range(2):
        began = time.process_time()
        try:
            parse(body)
            found = "taken"
        except Refusal as refusal:
            assert refusal.code
            assert refusal.remedy
            found = refusal.code
        if time.process_time() - began <= CPU_SECONDS:
            return found
        assert attempt == 0, (name, len(body), body[:200])
    raise AssertionError(name)


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_raises_nothing_but_its_refusal(name):
    parse, good = PARSERS[name]
    chance = random.Random(f"{name} 1")
    found = [check(name, parse, body) for body in SEEDS]
    found += [check(name, parse, mutated(chance, good.encode())) for _ in range(CASES)]
    assert len(found) == len(SEEDS) + CASES
    if name != "traceparent":  # what is no traceparent counts as absent
        assert len(found) - found.count("taken") >= CASES // 20, found.count("taken")


def test_a_recording_is_read_or_refused(tmp_path):
    chance, path = random.Random("recordings 1"), tmp_path / "r.json"

    def load(body):
        path.write_bytes(body)
        load_recording(path)

    cases = [*SEEDS, *(mutated(chance, json.dumps(RECORDING).encode()) for _ in range(CASES))]
    found = [check("recording", load, body) for body in cases]
    assert len(found) - found.count("taken") >= len(SEEDS)


def test_policy_text_is_refused_by_findings(tmp_path):
    chance = random.Random("policies 1")
    texts = [mutated(chance, POLICY.encode()) for _ in range(200 if LONG else 10)]
    texts += [b"(" * 100_000, b"permit(" * 1_000, b'"' * 1_000, b"when {" + b"!" * 100_000, b"\0", b""]
    for text in texts:
        try:
            build_bundle({"a.cedar": text_of(text)}, run_policy_compiler)
        except Refusal as refusal:
            assert refusal.remedy
