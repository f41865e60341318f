"""Whatever text comes to whatever parser: a value or the parser's own refusal, in bounded time; nothing else is raised."""

import json
import os
import random
import time

import pytest
from hostile_corpus import BODIES, HEADERS, IDS, QUERY
from parsers_kit import PARSERS, POLICY, RECORDING, text_of

from bailiwick.base import Refusal
from bailiwick.policy import build_bundle
from bailiwick.testing.recording import load_recording
from bailiwick.wiring.compiler import run_policy_compiler

LONG = bool(os.environ.get("BAILIWICK_LONG"))
CASES = 6_000 if LONG else 300
CPU_SECONDS = 0.25
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
