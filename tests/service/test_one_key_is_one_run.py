"""Requests: one idempotency key is one run, and what is refused leaves nothing behind."""

import asyncio

import pytest

from bailiwick.base import Refusal
from bailiwick.policy import Role
from bailiwick.service import IntentRequest, KeyReused, parse_intent
from platform_kit import ALICE, BOB, MALLORY, System, person


async def test_one_key_is_one_run_also_for_many_at_once(system: System) -> None:
    runs = await asyncio.gather(*(system.submit(key="k-1", title="same") for _ in range(32)))
    assert len(set(runs)) == 1
    assert len(await system.platform.reading.runs(ALICE)) == 1
    assert await system.submit(key="k-1", title="same") == runs[0]


async def test_a_key_is_never_used_for_another_request(system: System) -> None:
    run = await system.submit(key="k-1", title="one")
    with pytest.raises(KeyReused) as refused:
        await system.submit(key="k-1", title="two")
    assert refused.value.facts["run"] == run
    results = await asyncio.gather(
        *(system.submit(key="k-2", title=str(n % 2)) for n in range(8)), return_exceptions=True
    )
    assert len({each for each in results if isinstance(each, str)}) == 1
    assert sum(isinstance(each, KeyReused) for each in results) == 4


async def test_a_refused_request_does_not_use_its_key_up(system: System) -> None:
    with pytest.raises(Refusal):
        await system.submit(key="k-1", constraints=("Be nice",))
    assert await system.submit(key="k-1")


async def test_keys_of_two_tenants_do_not_meet(system: System) -> None:
    mine = await system.submit(key="k-1")
    theirs = await system.submit(key="k-1", who=MALLORY, title="other")
    assert mine != theirs


async def test_a_key_survives_a_restart(system: System) -> None:
    run = await system.submit(key="k-1")
    await system.crash()
    assert await system.submit(key="k-1") == run


async def test_who_may_not_submit_is_refused(system: System) -> None:
    for who in (BOB, person("v", Role.VIEWER)):
        with pytest.raises(Refusal) as refused:
            await system.submit(who=who)
        assert refused.value.code == "forbidden"


def test_an_intent_with_an_unknown_field_names_it() -> None:
    with pytest.raises(Refusal) as refused:
        parse_intent({"app": "a", "workflow": "w", "extra": 1})
    assert "extra" in refused.value.message
    with pytest.raises(Refusal) as typed:
        parse_intent({"app": "a", "workflow": "w", "labels": {"team": 3}})
    assert typed.value.facts["pointer"].startswith("/labels")
    assert parse_intent({"app": "a", "workflow": "w"}) == IntentRequest("a", "w")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"budget_usd": "0"}, "invalid_budget"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "deadline_expired"),
        ({"deadline_seconds": 91 * 86_400}, "invalid_intent"),
        ({"constraints": ("Be nice",)}, "plan_refused"),
        ({"app": "nowhere"}, "not_found"),
        ({"workflow": "nothing"}, "not_found"),
    ],
)
async def test_a_bad_intent_is_refused_and_leaves_nothing(system: System, fields: dict, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await system.submit(**fields)
    assert refused.value.code == code
    assert await system.platform.reading.runs(ALICE) == []
