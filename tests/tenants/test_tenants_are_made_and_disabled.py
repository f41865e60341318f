"""Tenants are made, listed and disabled by the operators alone; of a disabled one nothing starts and no key opens."""

import asyncio

import pytest
from tenants_kit import Estate

from bailiwick.base import Refusal, parse_canonical
from bailiwick.policy import Forbidden, Role
from bailiwick.service import InvalidIdentity, LastAdmin, NameTaken, NotFound, TenantDisabled
from bailiwick.service.gate.halts import NotTheOperator


async def test_a_tenant_begins_with_an_admin_of_its_own(house: Estate) -> None:
    assert (house.admin.tenant, house.admin.role, house.admin.name) == ("acme", Role.ADMIN, "admin")
    keys = await house.system.platform.keyring.list(house.admin)
    assert [(held.identity.name, held.key.created_by) for held in keys] == [("admin", house.operator.id)]
    listed = await house.system.platform.tenancy.list(house.operator)
    assert [tenant.id for tenant in listed] == ["acme", "default"]
    stored = await house.system.store.ledger.events("acme", "tenant:acme", 0, 10)
    headers = [parse_canonical(event.header) for event in stored]
    assert [header["kind"] for header in headers] == ["tenant.created", "identity.created", "key.created"]
    assert {(header["identity"], header["api_key"]) for header in headers} == {
        (house.operator.id, house.operator.key)
    }


@pytest.mark.parametrize("name", ["", "Acme", "a/b", "ac\u043ce", "..", "x" * 65, "*", "tenant:x"])
async def test_a_tenant_has_a_name_that_reads_the_same_to_everybody(house: Estate, name: str) -> None:
    with pytest.raises(InvalidIdentity):
        await house.system.platform.tenancy.create(house.operator, name)


async def test_a_tenant_is_made_once(house: Estate) -> None:
    tenancy = house.system.platform.tenancy
    for name in ("acme", "default"):
        with pytest.raises(NameTaken):
            await tenancy.create(house.operator, name)
    racing = [tenancy.create(house.operator, "rival") for _ in range(4)]
    done = await asyncio.gather(*racing, return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in done) == 1
    assert [type(one) for one in done if isinstance(one, Exception)] == [NameTaken] * 3


async def test_only_who_stands_above_the_tenants_manages_them(house: Estate) -> None:
    tenancy, keyring = house.system.platform.tenancy, house.system.platform.keyring
    above = await house.made(house.operator, "above", Role.PLATFORM)
    assert len(await tenancy.list(above)) == 2
    viewer = await house.made(house.operator, "viewer", Role.OPERATOR)
    for act in (tenancy.create, tenancy.disable, tenancy.enable):
        with pytest.raises(NotTheOperator):
            await act(house.admin, "acme")
        with pytest.raises(Forbidden):
            await act(viewer, "acme")
    for who in (house.admin, viewer):
        with pytest.raises(Refusal):
            await tenancy.list(who)
    with pytest.raises(InvalidIdentity):
        await keyring.create(house.admin, name="above", role=Role.PLATFORM)
    await keyring.create(house.admin, name="bea", role=Role.VIEWER)
    with pytest.raises(InvalidIdentity):
        await house.system.platform.identities.change(house.admin, "bea", role=Role.PLATFORM)
    with pytest.raises(Forbidden):
        await house.submit(above, "snoop", "snoop")


async def test_of_a_disabled_tenant_nothing_starts_and_no_key_opens(house: Estate) -> None:
    platform = house.system.platform
    await platform.tenancy.disable(house.operator, "acme")
    with pytest.raises(TenantDisabled):
        platform.keyring.authenticate(house.secret)
    with pytest.raises(TenantDisabled):
        await house.submit(house.admin, "vault", "look")
    (halt,) = platform.halts.list("acme")
    assert (halt.scope, halt.reason) == ("tenant", "the tenant is disabled")
    await platform.tenancy.disable(house.operator, "acme")
    assert len(platform.halts.list("acme")) == 1
    assert [bool(one.disabled_at) for one in await platform.tenancy.list(house.operator)] == [True, False]
    await platform.tenancy.enable(house.operator, "acme")
    assert platform.halts.list("acme") == []
    assert platform.keyring.authenticate(house.secret) == house.admin
    assert (await house.rested(await house.submit(house.admin, "vault", "look"))).status == "completed"


async def test_what_runs_of_a_disabled_tenant_stands_still_and_goes_on_when_it_is_enabled(
    house: Estate,
) -> None:
    platform = house.system.platform
    stop = await platform.halts.set(house.admin, "app", "vault", "a pause")
    run = await house.rested(await house.submit(house.admin, "vault", "look"))
    assert run.tally.blocked
    await platform.tenancy.disable(house.operator, "acme")
    await platform.halts.lift(house.admin, stop.id)  # a program that still holds the principal
    state = await house.rested(run)
    assert state.tally.blocked
    assert any("the tenant is disabled" in step.reason for step in state.steps.values())
    await platform.tenancy.enable(house.operator, "acme")
    assert (await house.rested(run)).status == "completed"


async def test_the_deployments_own_tenant_stays(house: Estate) -> None:
    tenancy = house.system.platform.tenancy
    with pytest.raises(InvalidIdentity):
        await tenancy.disable(house.operator, "default")
    for act in (tenancy.disable, tenancy.enable):
        with pytest.raises(NotFound):
            await act(house.operator, "nobody")
    assert [one.id for one in await tenancy.list(house.operator)] == ["acme", "default"]


async def test_the_last_admin_key_stays(house: Estate) -> None:
    keyring, identities = house.system.platform.keyring, house.system.platform.identities
    soon = house.system.platform.runs.world.now() + 60_000_000
    await keyring.mint(house.admin, "admin", soon)  # it will end by itself
    await house.made(house.admin, "other", Role.ADMIN, expires_at=soon)
    for act in (
        keyring.revoke(house.admin, house.admin.key),
        identities.disable(house.admin, "admin"),
        identities.change(house.admin, "admin", role=Role.OPERATOR),
    ):
        with pytest.raises(LastAdmin):
            await act
    assert keyring.authenticate(house.secret) == house.admin
    third = await house.made(house.admin, "third", Role.ADMIN)
    await keyring.revoke(house.admin, house.admin.key)
    with pytest.raises(LastAdmin):
        await keyring.revoke(third, third.key)


async def test_of_two_admins_who_revoke_each_other_at_once_one_stays(house: Estate) -> None:
    keyring, identities = house.system.platform.keyring, house.system.platform.identities
    rival = await house.made(house.admin, "rival", Role.ADMIN)
    acts = (keyring.revoke(house.admin, rival.key), identities.disable(rival, "admin"))
    done = await asyncio.gather(*acts, return_exceptions=True)
    assert sorted(isinstance(one, LastAdmin) for one in done) == [False, True]
    roll = await keyring.editor.read("acme")
    assert roll is not None
    assert roll.lasting_admins == 1
