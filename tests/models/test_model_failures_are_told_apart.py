"""Each way in which a provider fails has its category, says whether it may be repeated, and is never free by mistake."""

import socket

import orjson
import pytest
from pydantic_ai.exceptions import ModelHTTPError

from bailiwick.contract import ErrorCategory
from bailiwick.models.failures import failure_of, scrubbed
from bailiwick.ports import CallFailed, Stop, Usage

KEY = "sk-canary-4f1b2b0b822cd15d"
NOTHING, ESTIMATED = (0, 0), "estimated"


async def failure(host, request):
    with pytest.raises(CallFailed) as failed:
        await host.stream(request, lambda frame: None, Stop())
    return failed.value


@pytest.mark.parametrize(
    ("script", "category", "unsent"),
    [
        ("rate-limited", ErrorCategory.RATE_LIMITED, True),
        ("unavailable", ErrorCategory.TRANSIENT, True),
        ("denied", ErrorCategory.DENIED, False),
        ("unheard-of", ErrorCategory.REJECTED, False),
    ],
)
async def test_a_provider_that_did_no_work_is_not_paid(make_host, ask, script, category, unsent):
    failed = await failure(make_host(), ask(script, f"no work: {script}"))
    assert (failed.category, failed.unsent, failed.ambiguous) == (category, unsent, False)
    assert (failed.usage.input_tokens, failed.usage.output_tokens) == NOTHING


async def test_a_model_that_is_not_served_is_no_fault_of_the_question(make_host, ask):
    """Rule: what configuration alone can mend is told apart, so that it blocks a run and does not fail it."""
    for model in ("unheard-of", "gpt-unknown"):
        assert (await failure(make_host(), ask(model))).gone
    for model in ("denied", "rate-limited"):
        assert not (await failure(make_host(), ask(model, f"not gone: {model}"))).gone


@pytest.mark.parametrize(
    ("status", "code", "gone"),
    [
        (404, None, True),
        (410, None, True),
        (400, "model_decommissioned", True),
        (400, "model_not_found", True),
        (403, "model_not_found", True),
        (400, "context_length_exceeded", False),
        (400, None, False),
    ],
)
def test_each_provider_s_word_for_a_retired_model_is_known(status, code, gone):
    body = {"message": "no", "code": code}
    error = ModelHTTPError(status, "m", body, provider_error_code=code)
    assert failure_of(error, "", Usage(input_tokens=9, output_tokens=0), began=False).gone is gone
    assert not failure_of(error, "", Usage(input_tokens=9, output_tokens=0), began=True).gone


@pytest.mark.parametrize("script", ["broken", "cut", "bad-stream"])
async def test_a_provider_that_may_have_worked_is_charged_by_estimate(make_host, ask, script):
    failed = await failure(make_host(), ask(script))
    assert (failed.category, failed.unsent) == (ErrorCategory.TRANSIENT, False)
    assert failed.usage.source == ESTIMATED
    assert failed.usage.input_tokens > 0


@pytest.mark.parametrize("script", ["cut", "bad-stream"])
async def test_what_had_come_of_a_cut_answer_is_kept_and_paid(make_host, ask, script):
    failed = await failure(make_host(), ask(script))
    assert failed.partial == "This is a scripted a"
    assert failed.usage.output_tokens >= 5
    assert failed.first_token_ms > 0


async def test_an_answer_that_just_ends_is_not_taken_for_a_whole_one(make_host, ask):
    failed = await failure(make_host(), ask("played", "no end"))
    assert (failed.category, failed.partial) == (ErrorCategory.TRANSIENT, "x" * 20)
    assert failed.usage.output_tokens > 0


async def test_a_rate_limit_says_how_long_to_wait_and_then_is_over(make_host, ask):
    host, request = make_host(), ask("rate-limited", "twice")
    assert (await failure(host, request)).retry_after == 1
    assert (await host.stream(request, lambda frame: None, Stop())).finish == "stop"


async def test_a_refused_connection_is_proven_unsent(make_host, ask):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = make_host(base_url=f"http://127.0.0.1:{closed.getsockname()[1]}/v1")
        failed = await failure(host, ask("plain"))
    assert (failed.category, failed.unsent) == (ErrorCategory.TRANSIENT, True)
    assert (failed.usage.input_tokens, failed.usage.output_tokens) == NOTHING


async def test_a_provider_that_repeats_the_key_does_not_spread_it(make_host, ask):
    failed = await failure(make_host(), ask("denied"))
    assert KEY not in failed.message
    assert "[secret]" in failed.message


async def test_a_long_complaint_is_bounded(make_host, ask):
    failed = await failure(make_host(), ask("played", "problem"))
    assert failed.category is ErrorCategory.REJECTED
    assert len(failed.message) <= 400


async def test_a_request_that_no_rule_fits_shows_what_it_looked_like(make_host, ask):
    failed = await failure(make_host(), ask("played", "what nobody wrote a rule for"))
    assert "no rule of the recording 'played' fits" in failed.message


async def test_a_model_that_is_not_configured_is_not_asked(make_host, ask):
    failed = await failure(make_host(), ask("gpt-unknown"))
    assert (failed.category, failed.usage.input_tokens) == (ErrorCategory.REJECTED, 0)


@pytest.mark.parametrize("error", [KeyError("KEY"), FileNotFoundError("/run/key")])
async def test_a_reference_that_names_no_key_is_denied_without_a_call(make_host, ask, error):
    def resolve(reference):
        raise error

    failed = await failure(make_host(resolve=resolve), ask("plain"))
    assert failed.category is ErrorCategory.DENIED
    assert "env:KEY" in failed.message


async def test_a_key_is_resolved_anew_for_each_call(make_host, ask):
    keys = iter(["sk-first-key-000000", "sk-second-key-00000"])
    used = []

    def resolve(reference):
        used.append(next(keys))
        return used[-1]

    host = make_host(resolve=resolve)
    for _ in range(2):
        await failure(host, ask("denied"))
    assert len(used) == 2


def test_a_key_that_looks_like_nothing_is_taken_out_because_it_is_known():
    assert scrubbed("wrong: hunter2hunter2!", "hunter2hunter2") == "wrong: [secret]!"


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} is wrong",
        "Authorization: Bearer abcdef0123456789",
        "Incorrect API key provided: sk-ab*****yz",
        '{"api_key": "0123456789abcdef"}',
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text):
    cleaned = scrubbed(text, KEY)
    assert "[secret]" in cleaned
    for secret in (KEY, "abcdef0123456789", "sk-ab*****yz", "0123456789abcdef"):
        assert secret not in cleaned
    orjson.dumps(cleaned)
