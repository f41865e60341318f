"""A plan rests on a brief that is on record: a planner's, which a deployment may demand, or the workflow's own text."""

import pytest

from bailiwick.base import canonical, digest_of
from bailiwick.run import StepStatus
from bailiwick.service import PlannerRequired
from bailiwick.service.people.submitting import demands_planner
from platform_fixtures import Opener
from platform_kit import ALICE, ROOT, System
from shop_kit import Shop


def test_a_setting_names_apps_and_tenants() -> None:
    for setting in (("shop",), ("acme/shop",), ("acme/*",), ("*",)):
        assert demands_planner(setting, "acme", "shop"), setting
    for setting in ((), ("other",), ("evil/shop",), ("evil/*", "acme/other")):
        assert not demands_planner(setting, "acme", "shop"), setting


async def test_where_a_planner_is_demanded_nothing_begins_without_one(
    shop: Shop, open_system: Opener
) -> None:
    shop.workflow()
    shop.app.agent("planner", output={"objective": str}, prompt="Plan it.")
    shop.workflow(name="planned", planner="planner")
    system = await open_system(shop)
    system.platform.submitting._planners = ("acme/shop",)
    with pytest.raises(PlannerRequired):
        await system.submit()
    (event,), _ = await system.platform.reading.refusals(ROOT)
    assert event["code"] == "planner_required"
    run = await system.submit("planned")
    assert (await system.run(run)).steps["$plan"].status is StepStatus.READY


async def test_a_workflows_own_text_is_recorded_as_the_brief(system: System) -> None:
    run = await system.submit(title="pay them")
    opening = (await system.events(run))[0]
    brief = opening["payload"]["brief"]
    assert brief == {"objective": "pay them", "steps": ["work"], "constraints": []}
    (move,) = [move for move in opening["moves"] if move["step"] == "$plan"]
    assert move["output_digest"] == digest_of(canonical(brief))
    assert (await system.platform.reading.detail(ALICE, run)).brief == brief


async def test_after_a_context_it_is_recorded_too(shop: Shop, open_system: Opener) -> None:
    shop.workflow(context=[{"id": "page", "uses": "shop.read", "input": {"text": "x"}}])

    async def clerk(ctx: object, given: object) -> dict[str, object]:
        return {}

    shop.scripts["clerk"] = clerk
    system = await open_system(shop)
    system.work()
    run = await system.submit()
    ended = await system.ended(run)
    assert ended.closed == "completed"
    brief = (await system.platform.reading.detail(ALICE, run)).brief
    assert ended.steps["$plan"].output_digest == digest_of(canonical(brief))


async def test_a_brief_that_was_edited_is_found(system: System) -> None:
    run = await system.submit()
    system.tampered = True
    body = canonical({"intent": {}, "brief": {"objective": "another"}})
    assert (
        system.edit(f"UPDATE payloads SET body = {system.literal(body)} WHERE {system.payload_of(run, 1)}")
        == 1
    )
    assert "outputs_have_their_digest" in {each.invariant for each in await system.violations()}
