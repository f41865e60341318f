"""A key opens from the moment it was made, and never again once its revocation was acknowledged, whoever looks meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from bailiwick.policy import Role
from bailiwick.ports import ApiKey, Views
from bailiwick.service import Unauthenticated
from bailiwick.service.people.keyring import Keyring
from platform_kit import ROOT, System, soon


class Slow:
    """Views whose reading of all keys is answered when the test says so."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self.answers: list[asyncio.Event] = []
        self.asked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._views, name)

    async def keys(self, tenant: str) -> Sequence[ApiKey]:
        found = await self._views.keys(tenant)
        if not tenant:
            answer = asyncio.Event()
            self.answers.append(answer)
            self.asked.set()
            await answer.wait()
        return found

    async def looking(self, keyring: Keyring) -> asyncio.Task[None]:
        """Begin a look that has read and was not answered yet."""
        self.asked.clear()
        look = asyncio.ensure_future(keyring.load())
        await soon(self.asked.wait())
        return look

    async def answer(self, look: asyncio.Task[None], at: int) -> None:
        """Answer a look, and whatever it asks again."""
        self.asked.clear()
        self.answers[at].set()
        asking = asyncio.ensure_future(self.asked.wait())
        await asyncio.wait({look, asking}, return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        for answer in self.answers[at + 1 :] if not look.done() else ():
            answer.set()
        await soon(look)


def keyring_of(system: System, views: Any) -> Keyring:
    return Keyring(ledger=system.store.ledger, views=views, world=system.world, pepper=b"p" * 32)


async def test_a_key_that_was_made_during_a_look_opens_at_once(system: System) -> None:
    slow = Slow(system.store.views)
    keyring = keyring_of(system, slow)
    look = await slow.looking(keyring)
    _, secret = await keyring.create(ROOT, name="ci", role=Role.OPERATOR)
    await slow.answer(look, 0)
    assert keyring.authenticate(secret).name == "ci"


async def test_a_key_that_was_revoked_during_a_look_opens_nothing_ever_again(system: System) -> None:
    slow = Slow(system.store.views)
    keyring = keyring_of(system, slow)
    held, secret = await keyring.create(ROOT, name="ci", role=Role.OPERATOR)
    look = await slow.looking(keyring)
    await keyring.revoke(ROOT, held.key.id)
    await slow.answer(look, 0)
    with pytest.raises(Unauthenticated):
        keyring.authenticate(secret)


async def test_a_look_between_a_revocation_and_its_commit_brings_nothing_back(system: System) -> None:
    ledger = system.store.ledger
    keyring = keyring_of(system, system.store.views)
    held, secret = await keyring.create(ROOT, name="ci", role=Role.OPERATOR)

    class Looked:
        async def commit(self, unit: Any) -> None:
            await keyring.load()
            await ledger.commit(unit)

    keyring.editor._ledger = Looked()  # type: ignore[assignment]
    await keyring.revoke(ROOT, held.key.id)
    with pytest.raises(Unauthenticated):
        keyring.authenticate(secret)


async def test_of_two_looks_the_later_one_counts_in_whatever_order_they_are_answered(system: System) -> None:
    slow = Slow(system.store.views)
    keyring, neighbour = keyring_of(system, slow), keyring_of(system, system.store.views)
    held, secret = await neighbour.create(ROOT, name="ci", role=Role.OPERATOR)
    early = await slow.looking(keyring)
    await neighbour.revoke(ROOT, held.key.id)
    late = await slow.looking(keyring)
    await slow.answer(late, 1)
    await slow.answer(early, 0)
    with pytest.raises(Unauthenticated):
        keyring.authenticate(secret)
