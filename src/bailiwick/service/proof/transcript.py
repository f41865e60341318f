"""Transcripts: a run with all that its decisions rested on, to be decided again elsewhere or years later."""

from typing import Any

import msgspec

from bailiwick.base import Digest, Json, canonical, parse_canonical
from bailiwick.plan import plan_bytes
from bailiwick.policy import Permission, Principal, require
from bailiwick.ports import Blobs, Ledger, RunHead, Views
from bailiwick.run import Run
from bailiwick.service.core.refusals import NotFound
from bailiwick.service.core.runs import Runs

_PAGE = 200


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event: the exact header, and the payload with its salt (hex) as far as it is kept."""

    header: str
    salt: str = ""
    payload: str | None = None


class Transcript(msgspec.Struct, frozen=True):
    """A run to take away. Bodies are canonical JSON texts; `policies`, `contracts`, `trees` and `agents` (the texts of
    those that the platform runs) are named by their digests; the trees are those of a run whose workspaces were merged.

    `head` is the projection as it was stored beside the log; `state` is its fold, as the release that wrote
    this saw it.
    """

    release: str
    head: RunHead
    state: dict[str, Any]
    plan: str
    events: tuple[Line, ...]
    policies: dict[str, str]
    contracts: dict[str, str]
    trees: dict[str, str] = {}
    agents: dict[str, str] = {}


class Transcribing:
    """Writes transcripts."""

    def __init__(self, *, runs: Runs, ledger: Ledger, views: Views, blobs: Blobs) -> None:
        self._runs = runs
        self._ledger = ledger
        self._views = views
        self._blobs = blobs

    async def transcript(self, principal: Principal, run: str, release: str) -> Transcript:
        """Write a run down as it is recorded, to its newest event.

        Raises:
            NotFound: The tenant has no such run.
        """
        require(principal, Permission.AUDIT_READ)
        tenant = principal.tenant
        head = await self._views.run(tenant, run)
        if head is None or not await self._ledger.owns(tenant, run):
            raise NotFound("run", run)
        entry = await self._runs.memory.load(tenant, run, head.version)
        lines = await self._lines(tenant, run, head.version)
        policies: dict[str, str] = {}
        contracts: dict[str, str] = {}
        agents: dict[str, str] = {}
        for line in lines:
            cited = parse_canonical(line.header.encode())
            for version in versions_in(cited):
                await self._keep(tenant, version, policies)
            for digest in (cited.get("catalogue", ""), cited.get("law", "")):
                await self._keep(tenant, digest, contracts)
            for pin in cited.get("pins", {}).get("agents", {}).values():
                await self._keep(tenant, "" if pin.get("code") else pin["prompt"], agents)
        state: dict[str, Any] = parse_canonical(canonical(msgspec.to_builtins(entry.run)))
        plan = plan_bytes(entry.plan).decode()
        trees = await self._trees(entry.run, lines)
        return Transcript(release, head, state, plan, lines, policies, contracts, trees, agents)

    async def _trees(self, run: Run, lines: tuple[Line, ...]) -> dict[str, str]:
        """Keep the workspaces that were merged; a run without a merge needs none to be decided again."""
        trees: dict[str, str] = {}
        if not any(step.joined for step in run.steps.values()):
            return trees
        for step in run.steps.values():
            for tree in (step.tree_before or "", step.tree_after):
                await self._keep(run.tenant, tree, trees)
        for line in lines:
            for move in parse_canonical(line.header.encode()).get("moves", ()):
                await self._keep(run.tenant, move.get("tree", ""), trees)
        return trees

    async def _lines(self, tenant: str, run: str, version: int) -> tuple[Line, ...]:
        lines: list[Line] = []
        while len(lines) < version:
            page = await self._ledger.events(tenant, run, len(lines), min(_PAGE, version - len(lines)))
            if not page:
                raise NotFound("event", f"{run}.{len(lines) + 1}")
            lines += [
                Line(
                    stored.header.decode(),
                    stored.salt.hex(),
                    None if stored.payload is None else stored.payload.decode(),
                )
                for stored in page
            ]
        return tuple(lines)

    async def _keep(self, tenant: str, digest: str, into: dict[str, str]) -> None:
        if not digest or digest in into:
            return
        body = await self._blobs.get(tenant, Digest(digest))
        if body is not None:
            into[digest] = body.decode()


def versions_in(header: dict[str, Json]) -> list[str]:
    """Name the policy versions that an event cites: the run's, those of its verdicts."""
    cited = [header, header.get("call", {}), *header.get("moves", ())]
    return [part["policy_version"] for part in cited if part.get("policy_version")]
