"""Policy decides with every fact that the table promises: a forbid on each attribute bites at each action that carries it."""

import contextlib
from typing import Any

import pytest

from bailiwick.app import CallRefused, Context
from bailiwick.base import digest_of
from bailiwick.policy import ActionKind, Bundle, Role, build_bundle, stacked
from bailiwick.policy.attributes import ATTRIBUTES
from bailiwick.policy.compile import answer
from bailiwick.ports import Message
from bailiwick.run import CallState, Run
from bailiwick.service import PolicyDenied
from platform_fixtures import Opener
from platform_kit import System, person
from shop_kit import POLICIES, Shop

CAROL = person("carol", Role.ADMIN, groups=("writers",))
CI_FILE = ".GitHub/workflows/x.yml"
PATCH = (
    f"diff --git a/{CI_FILE} b/{CI_FILE}\nnew file mode 100644\n--- /dev/null\n+++ b/{CI_FILE}\n@@ -0,0 +1 @@\n+hello\n"
).encode()
DIGEST = digest_of(PATCH)

PERSON = {
    "principal.tenant": 'principal.tenant == "acme"',
    "principal.name": 'principal.name == "carol"',
    "principal.role": 'principal.role == "admin"',
    "principal.groups": 'principal.groups.contains("writers")',
}
AGENT = {
    "principal.tenant": 'principal.tenant == "acme"',
    "principal.name": 'principal.name == "clerk@1.0.0"',
}
PLACE = {
    "context.tenant": 'context.tenant == "acme"',
    "context.app": 'context.app == "shop"',
    "context.pool": 'context.pool == "default"',
    "context.sandbox": 'context.sandbox == "default"',
    "context.region": 'context.region == "eu"',
    "context.scope": 'context.scope == "prod-payments"',
    "context.production": "context.production",
    "context.declared": "context.declared",
    "context.untrusted": "context.untrusted",
}
RUN = {
    "context.reviewed": f'context.reviewed.contains("{DIGEST}")',
    "context.spent_micro_usd": "context.spent_micro_usd == 500",
    "context.remaining_micro_usd": "context.remaining_micro_usd == 999500",
}
BITES: dict[ActionKind, dict[str, str]] = {
    ActionKind.RUN_SUBMIT: {
        **PERSON,
        **PLACE,
        "resource.name": 'resource.name == "all"',
        "resource.version": 'resource.version == "2.3.4"',
        "resource.kind": 'resource.kind == "workflow"',
        "resource.effect": 'resource.effect == "read-only"',
        "context.remaining_micro_usd": "context.remaining_micro_usd == 1000000",
        "context.estimate_micro_usd": "context.estimate_micro_usd == 1000000",
    },
    ActionKind.STEP_START: {
        **PERSON,
        **PLACE,
        **RUN,
        "resource.name": 'resource.name == "shop.priced"',
        "resource.version": 'resource.version == "3.0.0"',
        "resource.kind": 'resource.kind == "agent"',
        "resource.effect": 'resource.effect == "metered"',
        "resource.permissions": 'resource.permissions.contains("ledger.read")',
        "resource.allowed_apis": 'resource.allowed_apis.contains("bank.example")',
        "context.estimate_micro_usd": "context.estimate_micro_usd == 700",
    },
    ActionKind.TOOL_CALL: {
        **AGENT,
        **PLACE,
        **RUN,
        "resource.name": 'resource.name == "git.apply"',
        "resource.version": 'resource.version == "3.0.0"',
        "resource.kind": 'resource.kind == "tool"',
        "resource.effect": 'resource.effect == "metered"',
        "resource.permissions": 'resource.permissions.contains("ledger.read")',
        "resource.allowed_apis": 'resource.allowed_apis.contains("bank.example")',
        "context.subject": f'context.subject == "{DIGEST}"',
        "context.paths": f'context.paths.contains("{CI_FILE}")',
        "context.path_classes": 'context.path_classes.contains("ci")',
        "context.names_paths": "context.names_paths",
        "context.branch": 'context.branch == "agent/plan"',
        "context.host": 'context.host == "api.acme.example"',
        "context.method": 'context.method == "HEAD"',
        "context.url_path": 'context.url_path == "/v1/notes"',
        "context.estimate_micro_usd": "context.estimate_micro_usd == 700",
        "context.approvals": 'resource.name == "git.apply"',
    },
    ActionKind.MODEL_CALL: {
        **AGENT,
        **PLACE,
        **RUN,
        "resource.name": 'resource.name == "model:scripted:plain"',
        "resource.version": 'resource.version == "1.0.0"',
        "resource.kind": 'resource.kind == "model"',
        "resource.effect": 'resource.effect == "metered"',
        "context.estimate_micro_usd": "context.estimate_micro_usd > 8000",
    },
}
ELSEWHERE = {(ActionKind.MODEL_CALL, "context.generated_prompt")}
"""Tried in tests/service/test_a_model_never_instructs_a_model.py, with models that answer."""


def forbidding(action: ActionKind, place: str, condition: str) -> Bundle:
    """The default policies, without the standing ones that would be in the way, and one forbid more."""
    files = stacked(POLICIES)
    del files["standing.cedar"], files["delivery.cedar"]
    hold = place == "context.approvals"
    files["cell.cedar"] = (
        '@id("own.cell") @reason("the cell bites") '
        + ('@require_approval("writers") ' if hold else "")
        + f'forbid (principal, action == Action::"{action}", resource) when {{ {condition} }}'
        + (' unless { context.approvals.contains("writers") };' if hold else ";")
    )
    return build_bundle(files, answer)


def everything(*, asks: bool = False) -> Shop:
    """An app whose one run submits, starts and calls all that the cells speak of."""
    shop = Shop()
    app = shop.app
    app.http("api.acme.example", name="web")

    @app.tool(
        "shop.priced",
        version="3.0.0",
        effect="metered",
        price_micro_usd=700,
        permissions=("ledger.read",),
        allowed_apis=("bank.example",),
    )
    async def priced(text: str) -> dict[str, str]:
        return {"said": text}

    async def reviewer(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await ctx.tool("shop.quote", {"text": "x"})
        return {"verdict": "pass"}

    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        apply = {"repository": "r", "base": "0" * 40, "patch": DIGEST, "branch": "agent/plan", "message": "m"}
        calls: list[tuple[str, dict[str, Any]]] = [
            ("files.write", {"path": CI_FILE, "text": "x"}),
            ("web.get", {"url": "https://api.acme.example/v1/notes", "method": "HEAD"}),
            ("git.apply", apply),
            ("shop.priced", {"text": "x"}),
        ]
        if asks:
            with contextlib.suppress(CallRefused):
                await ctx.model("scripted:plain", [Message("user", "hello")])
        for tool, arguments in calls:
            with contextlib.suppress(CallRefused):
                await ctx.tool(tool, arguments)
        return {}

    tools = ["files.write", "web.get", "git.apply", "shop.priced", "shop.quote"]
    app.agent("reviewer", output={"verdict": str}, tools=tools, run=reviewer)
    app.agents.pop("clerk@1.0.0")
    app.agent("clerk", output={"type": "object"}, tools=tools, run=clerk)
    app.workflow(
        "all",
        version="2.3.4",
        context=[{"id": "page", "uses": "shop.read", "input": {"text": "from outside"}}],
        steps=[
            {"id": "review", "uses": "reviewer", "reviews": "$.intent.input.digest"},
            {"id": "act", "uses": "clerk", "after": ["review"]},
            {"id": "priced", "uses": "shop.priced", "input": {"text": "x"}, "after": ["act"]},
        ],
    )
    return shop


async def submitted(system: System) -> str:
    return await system.submit(
        "all",
        who=CAROL,
        input={"digest": DIGEST},
        budget_usd="1.00",
        environment={"region": "eu", "scope": "prod-payments"},
    )


def bitten(run: Run, action: ActionKind) -> bool:
    """Whether the forbid decided the action that it is about."""
    if action is ActionKind.STEP_START:
        return "the cell bites" in run.reason and run.category == "denied"
    states = (CallState.REFUSED, CallState.HELD)
    models = action is ActionKind.MODEL_CALL
    calls = [call for call in run.calls.values() if bool(call.model) == models]
    return any(call.policies == ("own.cell",) and call.state in states for call in calls)


def test_every_cell_of_the_table_is_tried() -> None:
    table = {(action, each.place) for each in ATTRIBUTES for action in each.carried}
    tried = {(action, place) for action, cells in BITES.items() for place in cells}
    assert tried | ELSEWHERE == table


async def test_a_forbid_on_each_attribute_of_a_submission_bites(open_system: Opener) -> None:
    system = await open_system(everything())
    for place, condition in BITES[ActionKind.RUN_SUBMIT].items():
        system.platform.runs.bundle = forbidding(ActionKind.RUN_SUBMIT, place, condition)
        with pytest.raises(PolicyDenied) as denied:
            await submitted(system)
        assert denied.value.facts["policies"] == ["own.cell"], place


@pytest.mark.parametrize("action", [ActionKind.STEP_START, ActionKind.TOOL_CALL, ActionKind.MODEL_CALL])
async def test_a_forbid_on_each_attribute_of_a_run_bites(action: ActionKind, open_system: Opener) -> None:
    system = await open_system(everything(asks=action is ActionKind.MODEL_CALL))
    await system.store.blobs.put("acme", PATCH)
    system.work()
    for place, condition in BITES[action].items():
        system.platform.runs.bundle = forbidding(action, place, condition)
        id = await submitted(system)
        run = await system.until(id, lambda run, action=action: run.closed is not None or bitten(run, action))
        assert bitten(run, action), (
            place,
            run.reason,
            [(c.capability, c.reason) for c in run.calls.values()],
        )
