"""The door is shared: who asks too often waits, who stops something never does, and event streams go round."""

import contextlib
from types import SimpleNamespace

import pytest

from bailiwick.http.rates import Rates
from bailiwick.http.refusals import TooManyStreams
from bailiwick.http.sse import OpenStreams
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.service import LimitBook, Limits, RequestsLimit, StreamsLimit
from bailiwick.service.core.streams import Streams


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def count(rates: Rates, tenant: str, key: str, times: int) -> int:
    """Ask so often; tell how many were answered."""
    answered = 0
    for _ in range(times):
        try:
            rates.take(tenant, key)
        except RequestsLimit:
            continue
        answered += 1
    return answered


def test_a_key_and_its_tenant_have_a_rate_and_two_seconds_of_it_at_once() -> None:
    ticks = Ticks()
    rates = Rates(LimitBook(Limits(requests=10, key_requests=5)), ticks)
    assert count(rates, "a", "one", 100) == 10
    assert count(rates, "a", "two", 100) == 10
    assert count(rates, "a", "three", 100) == 0, "the tenant has none left"
    assert count(rates, "b", "one", 100) == 10, "another tenant is not concerned"
    ticks.now += 1
    assert count(rates, "a", "one", 100) == 5
    ticks.now += 1000
    assert count(rates, "a", "one", 100) == 10


def test_a_flood_that_is_refused_does_not_prolong_the_refusal() -> None:
    ticks = Ticks()
    rates = Rates(LimitBook(Limits(requests=0, key_requests=1)), ticks)
    count(rates, "a", "k", 10_000)
    ticks.now += 1
    assert count(rates, "a", "k", 1) == 1


def test_no_rate_is_kept_for_ever() -> None:
    rates = Rates(LimitBook(), Ticks())
    for number in range(30_000):
        rates.take("a", f"key-{number}") if number < 100 else count(rates, f"t{number}", "k", 1)
    assert len(rates._buckets) <= 10_000


async def test_who_asks_too_often_is_told_when_to_come_back_but_may_always_stop(house) -> None:
    client = house.client("admin")
    house.app.state.rates = Rates(LimitBook(Limits(key_requests=2)), Ticks())
    for _ in range(4):
        assert (await client.get("/v1/runs")).status_code == 200
    refused = await client.get("/v1/runs")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    told = refused.json()
    assert (told["code"], told["facts"]["of"]) == ("requests_limit", "key")
    # The body is not even read: it is no JSON.
    assert (await client.post("/v1/runs", content=b"{")).status_code == 429
    halted = await client.post("/v1/halts", json={"scope": "app", "target": "shop", "reason": "stop"})
    assert halted.status_code in (200, 201)
    for path in ("/v1/runs/run_none:cancel", "/v1/runs/run_none:rollback"):
        assert (await client.post(path, json={"reason": "x"})).status_code == 404
    assert "requests_limit" in (await client.get("/metrics")).text


def source(streams: Streams, tenant: str, key: str = "") -> SimpleNamespace:
    who = Principal(key or tenant, key or tenant, PrincipalKind.USER, tenant, Role.VIEWER)
    return SimpleNamespace(platform=SimpleNamespace(streams=streams), caller=who, run="run")


def test_who_has_fewer_streams_gets_one_of_whoever_has_the_most() -> None:
    streams, ways = Streams(), OpenStreams(4, LimitBook())
    flood = [ways.one(source(streams, "flood")) for _ in range(4)]
    watchers = [each.__enter__() for each in flood]
    with pytest.raises(TooManyStreams):
        ways.one(source(streams, "flood")).__enter__()
    with ways.one(source(streams, "mine")):
        assert [ways.yields(each) for each in watchers] == [False, False, False, True]
        with ways.one(source(streams, "mine")):
            assert [ways.yields(each) for each in watchers] == [False, False, True, True]
            with pytest.raises(TooManyStreams):
                ways.one(source(streams, "mine")).__enter__()
    for each in flood:
        each.__exit__(None, None, None)
    assert len(ways) == 0


def test_a_tenant_and_a_key_have_a_number_of_streams() -> None:
    streams, ways = Streams(), OpenStreams(100, LimitBook(Limits(streams=3, key_streams=2)))
    with contextlib.ExitStack() as stack:
        for tenant, key in (("a", "one"), ("a", "one"), ("a", "two"), ("b", "one"), ("b", "one")):
            stack.enter_context(ways.one(source(streams, tenant, key)))
        for tenant, key, of in (("a", "one", "tenant"), ("a", "three", "tenant"), ("b", "one", "key")):
            with pytest.raises(StreamsLimit) as refusal:
                stack.enter_context(ways.one(source(streams, tenant, key)))
            assert refusal.value.facts["of"] == of
        assert len(ways) == 5
    assert len(ways) == 0
