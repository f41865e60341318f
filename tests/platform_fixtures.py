"""A real platform on each store, an app with tools of all four classes, and hands to drive it.

The rooms that test the platform's behaviour take these fixtures into their conftest. Whatever opens its platform by
`open_system` is held to its promise on both stores; `store_choice` knows the exceptions.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.wiring.compiler import run_policy_compiler
from platform_kit import Hand, System
from postgres_kit import lent_database
from postgres_platform_kit import PostgresSystem
from shop_kit import POLICIES, Shop
from store_choice import POSTGRES, on_each_store

__all__ = ["bundle", "open_system", "pytest_generate_tests", "shop", "started", "system"]

Opener = Callable[..., Awaitable[System]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_each_store(metafunc, "open_system")


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return build_bundle(stacked(POLICIES), run_policy_compiler)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def open_system(
    request: pytest.FixtureRequest, tmp_path: Path, bundle: Bundle
) -> AsyncIterator[Opener]:
    """Open a platform for the apps of a test, each on a store of its own; closed at its end."""
    systems: list[System] = []
    with contextlib.ExitStack() as lent:

        async def open_one(*shops: Shop, bundle: Bundle = bundle, **options: Any) -> System:
            folder = tmp_path / f"system-{len(systems)}"
            if request.param == POSTGRES:
                url = lent.enter_context(lent_database())
                system: System = PostgresSystem(url, folder, bundle, *shops, **options)
            else:
                system = System(folder, bundle, *shops, **options)
            systems.append(system)
            await system.open()
            return system

        yield open_one
        for system in systems:
            await system.close()


@pytest.fixture
async def system(shop: Shop, open_system: Opener) -> System:
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
