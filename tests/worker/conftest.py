"""A real platform over a fresh folder, an app with tools of all four classes, and hands to drive it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.wiring.compiler import run_policy_compiler
from platform_kit import Hand, System
from shop_kit import POLICIES, Shop


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return build_bundle(stacked(POLICIES), run_policy_compiler)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def open_system(tmp_path: Path, bundle: Bundle) -> AsyncIterator[Callable[..., Awaitable[System]]]:
    """Open a platform for the apps of a test; closed at its end."""
    systems: list[System] = []

    async def open_one(*shops: Shop, **options: Any) -> System:
        system = System(tmp_path / f"system-{len(systems)}", bundle, *shops, **options)
        systems.append(system)
        await system.open()
        return system

    yield open_one
    for system in systems:
        await system.close()


@pytest.fixture
async def system(shop: Shop, open_system: Callable[..., Awaitable[System]]) -> System:
    """A platform with the shop and its workflow of one step."""
    shop.workflow()
    return await open_system(shop)


@pytest.fixture
async def started(system: System) -> Hand:
    """A hand that holds the one step of a run."""
    await system.submit()
    hand = await system.hand()
    assert await hand.claim() is not None
    return hand
