"""Activating: other policies come into force while everything runs, as an event that names who, from what, to what."""

import asyncio
from typing import Any

import structlog

from bailiwick.base import Digest, canonical, parse_canonical
from bailiwick.policy import Bundle, Permission, Principal, require
from bailiwick.ports import Blobs, Draft, Ledger, Unit, World
from bailiwick.service.core.changes import Record, record_of
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.refusing import Governed, governed
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.halts import Halts

PLATFORM = "platform"
_OWNER = ""
_KIND = "policy.activated"
_PAGE = 500
log = structlog.get_logger("bailiwick.policy")


class Activating(Governed):
    """Puts bundles in force and follows those that other processes put in force; the platform's stream is the truth.

    A bundle's text is a blob of the platform, named by its event, so that any process can load it.
    """

    def __init__(self, *, runs: Runs, ledger: Ledger, blobs: Blobs, halts: Halts, world: World) -> None:
        self._runs = runs
        self._ledger = ledger
        self._blobs = blobs
        self._halts = halts
        self._world = world
        self._seen = 0
        self._one = asyncio.Lock()

    @governed("policies.activate")
    async def activate(self, principal: Principal, bundle: Bundle) -> bool:
        """Put a bundle in force; when this returns, this process lets nothing pass under the one before.

        What waits for people is judged again by the keeper, unused grants when they are dispatched.

        Returns:
            Whether it is another one than was in force.

        Raises:
            Forbidden: The role does not include it.
            NotTheOperator: Policies are the whole deployment's, and the principal is of another tenant.
        """
        require(principal, Permission.POLICIES_ACTIVATE)
        self._halts.operating(principal)
        async with self._one:
            await self._catch_up()
            if bundle.version == self._runs.bundle.version:
                return False
            await self._write(bundle, record_of(principal), self._runs.bundle.version)
            self._enforce(bundle)
        await self._halts.settle()
        return True

    async def start(self) -> None:
        """Choose between the files this process was started with and what was activated while it ran before.

        Files that differ from those of the last start are an activation themselves; with the same files, the
        last activation stays in force.
        """
        async with self._one:
            own = self._runs.bundle
            events, seen = await self._events()
            starts = [event for event in events if event["actor"] == "platform:start"]
            if starts and starts[-1]["version"] == own.version:
                await self._adopt(events[-1])
            else:
                await self._write(own, Record("platform:start"), events[-1]["version"] if events else "")
            self._seen = seen

    async def follow(self) -> int:
        """Enforce what another process has activated; answer whether there was something."""
        async with self._one:
            return int(await self._catch_up())

    async def _catch_up(self) -> bool:
        events, seen = await self._events()
        other = bool(events) and await self._adopt(events[-1])
        self._seen = seen  # only now: what could not be enforced is looked at again
        return other

    async def _events(self) -> tuple[list[dict[str, Any]], int]:
        """Read the activations since those that were enforced last, and how far the stream was read."""
        found: list[dict[str, Any]] = []
        seen = self._seen
        while True:
            page = await self._ledger.events(_OWNER, PLATFORM, seen, _PAGE)
            headers = [parse_canonical(stored.header) for stored in page]
            found += [header for header in headers if header["kind"] == _KIND]
            seen = page[-1].seq if page else seen
            if len(page) < _PAGE:
                return found, seen

    async def _adopt(self, event: dict[str, Any]) -> bool:
        if event["version"] == self._runs.bundle.version:
            return False
        body = await self._blobs.get(_OWNER, Digest(event["files"]))
        if body is None:
            raise NotFound("policy", event["version"])
        self._enforce(Bundle(parse_canonical(body)))
        await self._halts.settle()
        return True

    def _enforce(self, bundle: Bundle) -> None:
        before = self._runs.bundle.version
        self._runs.bundle = bundle
        log.warning("policy.enforced", version=bundle.version, before=before)

    async def _write(self, bundle: Bundle, record: Record, before: str) -> None:
        files = await self._blobs.put(_OWNER, canonical(dict(bundle.files)))
        fields = {
            "kind": _KIND,
            "at": self._world.now(),
            **record.fields,
            "version": bundle.version,
            "before": before,
            "files": files,
        }
        await self._ledger.commit(Unit(tenant=_OWNER, others=((PLATFORM, Draft(fields)),)))
