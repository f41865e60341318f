"""An app belongs to a tenant; what it brings along (tools, hosts, repositories) exists for no other app."""

from pathlib import Path

import pytest
from tenants_kit import Estate, estate

from bailiwick.app import App
from bailiwick.plan import PlanRefused
from bailiwick.service import NotFound
from bailiwick.wiring import Settings, embedded
from bailiwick.wiring.apart import NamedTwice


async def test_an_app_of_another_tenant_does_not_exist(house: Estate) -> None:
    with pytest.raises(NotFound):
        await house.submit(house.operator, "vault", "look")
    with pytest.raises(NotFound):
        await house.submit(house.admin, "snoop", "snoop")
    ended = await house.rested(await house.submit(house.admin, "vault", "look"))
    assert ended.status == "completed", ended.reason


async def test_an_app_names_neither_tool_nor_host_nor_repository_of_another(house: Estate) -> None:
    ended = await house.rested(await house.submit(house.operator, "snoop", "snoop"))
    assert ended.status == "completed", ended.reason
    tool, host, repository = house.told
    assert tool.startswith("vault.read: denied:")
    assert host.startswith("bank.get: denied:")
    assert "no repository is configured under the name 'secrets'" in repository
    assert "there is none; configure one" in repository, "nor is another's name told"


@pytest.mark.parametrize("workflow", ["vault-read", "bank-get"])
async def test_a_workflow_that_names_another_apps_tool_does_not_compile(house: Estate, workflow: str) -> None:
    with pytest.raises(PlanRefused):
        await house.submit(house.operator, "snoop", workflow)


async def test_an_app_for_all_tenants_says_so(tmp_path: Path) -> None:
    async with estate(tmp_path, app_tenants={"vault": "*", "snoop": "acme"}) as house:
        for who in (house.operator, house.admin):
            ended = await house.rested(await house.submit(who, "vault", "look"))
            assert ended.status == "completed", ended.reason
        with pytest.raises(NotFound):
            await house.submit(house.operator, "snoop", "snoop")


def tool(app: App) -> None:
    @app.tool("clash")
    def one() -> dict[str, str]:
        return {}


def repository(app: App) -> None:
    app.repository("clash", seed={"a": "b"})


def policy(app: App) -> None:
    app.policy("clash", '@id("a.b") forbid (principal, action, resource) when { false };')


@pytest.mark.parametrize("bring", [tool, repository, policy])
async def test_two_apps_bring_nothing_of_one_name(tmp_path: Path, bring) -> None:
    apps = [App("one"), App("two", tenant="acme")]
    for app in apps:
        bring(app)
    with pytest.raises(NamedTwice) as refusal:
        async with embedded(Settings(data_dir=str(tmp_path)), apps):
            pass
    assert refusal.value.facts["apps"] == ["one", "two"]
