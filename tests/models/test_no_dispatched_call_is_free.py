"""Whatever became of a call that a provider may have worked on, it costs something; one that it refused does not."""

import asyncio

import pytest

from bailiwick.budget import Price, cost_micro_usd
from bailiwick.ports import CallFailed, Stop, Usage

DOLLAR = Price(input=1_000_000, output=2_000_000, cached_input=500_000)
WORKED = {
    "plain": "reported",
    "no-usage": "estimated",
    "cut": "estimated",
    "bad-stream": "estimated",
    "broken": "estimated",
    "stalled": "estimated",
    "slow": "estimated",
}
REFUSED = ("unavailable", "denied", "rate-limited")


async def used_by(host, request, *, stop_after: float = 0.0) -> Usage | None:
    stop = Stop()
    if stop_after:
        asyncio.get_running_loop().call_later(stop_after, stop.request, "canceled by a test")
    try:
        return (await host.stream(request, lambda frame: None, stop)).usage
    except CallFailed as failed:
        return failed.usage


@pytest.mark.parametrize(("model", "source"), WORKED.items())
async def test_a_call_that_was_worked_on_is_charged_and_marked(make_host, ask, model, source):
    limits = {"timeout_seconds": 0.5} if model in ("stalled", "slow") else {}
    usage = await used_by(make_host(price=DOLLAR), ask(model, **limits))
    assert usage is not None
    assert usage.source == source
    assert cost_micro_usd(DOLLAR, usage) > 0


@pytest.mark.parametrize("model", ["slow", "stalled"])
async def test_a_call_that_was_canceled_in_its_stream_is_charged_and_marked(make_host, ask, model):
    usage = await used_by(make_host(price=DOLLAR), ask(model), stop_after=0.2)
    assert usage is not None
    assert usage.source == "estimated"
    assert cost_micro_usd(DOLLAR, usage) > 0


@pytest.mark.parametrize("model", REFUSED)
async def test_a_call_that_was_refused_before_any_work_is_not_charged(make_host, ask, model):
    usage = await used_by(make_host(price=DOLLAR), ask(model))
    assert usage is not None
    assert cost_micro_usd(DOLLAR, usage) == 0
