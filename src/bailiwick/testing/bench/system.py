"""The system under measurement: the whole embedded platform in this process, and a client that submits to it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from bailiwick.app import App
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.run import Event, Run, Status
from bailiwick.service import IntentRequest
from bailiwick.stores import StoreClock
from bailiwick.wiring import Embedded, Settings, embedded

TENANT = "default"
_PATIENCE_SECONDS = 120.0
T = TypeVar("T")


def somebody(tenant: str) -> Principal:
    """Make somebody of a tenant who may submit."""
    return Principal("bench", "bench", PrincipalKind.USER, tenant, Role.OPERATOR)


_PRINCIPAL = somebody(TENANT)


class RunSpoiled(Exception):
    """A run did not complete, so nothing that was measured means anything."""


class Client:
    """Submits runs of one app and waits for their ends, in the platform's own process."""

    def __init__(self, system: Embedded, app: App) -> None:
        self.system = system
        self._app = app.name
        self._ended: dict[str, asyncio.Future[Run]] = {}
        system.platform.observers.append(self._seen)

    async def run(self, workflow: str, who: Principal = _PRINCIPAL) -> float:
        """Submit a run and wait until it is completed; answer how long that took, in seconds.

        Raises:
            RunSpoiled: It ended otherwise.
        """
        begun = time.perf_counter()
        await self.ended(await self.submit(workflow, who))
        return time.perf_counter() - begun

    async def submit(self, workflow: str, who: Principal = _PRINCIPAL) -> str:
        """Submit a run; answer its id."""
        intent = IntentRequest(app=self._app, workflow=workflow)
        run = await self.system.platform.submitting.submit(who, intent)
        self._future(run.id)
        return run.id

    async def ended(self, run: str) -> Run:
        """Wait for a submitted run to complete.

        Raises:
            RunSpoiled: It ended otherwise.
        """
        try:
            after = await self._future(run)
        finally:
            self._ended.pop(run, None)
        if after.status is not Status.COMPLETED:
            raise RunSpoiled(f"{after.id} ended as {after.status}: {after.reason}")
        return after

    def _future(self, run: str) -> asyncio.Future[Run]:
        return self._ended.setdefault(run, asyncio.get_running_loop().create_future())

    def _seen(self, _before: Run | None, after: Run, _events: tuple[Event, ...]) -> None:
        if after.closed is not None:
            self._future(after.id).set_result(after)


def on_the_fast_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the event loop that the server uses.

    Raises:
        RunSpoiled: It did not end in time: a run hangs.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(asyncio.wait_for(work, _PATIENCE_SECONDS))
        except TimeoutError as error:
            raise RunSpoiled(f"a run hangs: no end after {_PATIENCE_SECONDS:.0f} s") from error


def settings_for(folder: Path, clients: int, store: str = "") -> Settings:
    """Make the settings of a system that may work for so many clients at once, on the PostgreSQL at a URL or on SQLite."""
    return Settings(data_dir=str(folder), store=store, slots=max(8, clients))


@contextlib.asynccontextmanager
async def client_of(
    folder: Path,
    app: App,
    clients: int = 1,
    store: str = "",
    *,
    periods: Mapping[str, float] | None = None,
    clock: StoreClock | None = None,
) -> AsyncIterator[Client]:
    """Run the embedded platform over a data directory, or over the PostgreSQL at a URL, and offer a client of it.

    `periods` of the keeper's duties, in seconds by name, instead of the usual ones, and a `clock` instead of the machine's.
    """
    async with embedded(settings_for(folder, clients, store), [app], periods=periods, clock=clock) as system:
        yield Client(system, app)
