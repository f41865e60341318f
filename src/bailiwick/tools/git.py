"""The git tools: a commit becomes the workspace, the workspace a patch, and an approved patch one commit."""

import asyncio
from typing import Any

from bailiwick.base import Category, Digest, Refusal, Short
from bailiwick.ports import Blobs, FactsNeed, FrameSink, Stop, ToolCall, ToolResult
from bailiwick.tools.git_contracts import APPLY, DIFF, SNAPSHOT
from bailiwick.tools.globs import Globs
from bailiwick.tools.host import Facts, Tool
from bailiwick.tools.landing import Landing, arguments_digest, check_landing, land
from bailiwick.tools.patch import MODES
from bailiwick.tools.patch_parser import parse_patch
from bailiwick.tools.paths import BadPath, check_path
from bailiwick.tools.repository import GitEntry, Repositories, Repository
from bailiwick.tools.workspace import MAX_FILE_BYTES, MAX_FILES, File, TooMuch, Workspaces

MAX_SNAPSHOT_BYTES = 67_108_864
MAX_TEXT = 65_536
_MAX_SKIPPED = 50
_AT_ONCE = 16


class NoSuchPatch(Refusal, code="no_such_patch", category=Category.ABSENT):
    """The artifact that should be the patch is not stored for this tenant."""

    patch: Short
    says = "there is no artifact {patch}"
    remedy = "make the patch with git.diff and give the digest it returns"


class GitTools:
    """The three tools over the repositories of this host."""

    def __init__(self, repositories: Repositories, workspaces: Workspaces, blobs: Blobs) -> None:
        self._repositories = repositories
        self._workspaces = workspaces
        self._blobs = blobs

    def tools(self) -> tuple[Tool, ...]:
        """List them for the host's registry."""
        return (
            Tool(SNAPSHOT, self._snapshot),
            Tool(DIFF, self._diff),
            Tool(APPLY, self._apply, Facts(_patch_needed, _patch_facts)),
        )

    async def _snapshot(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        patterns = tuple(call.arguments.get("include", ("**",)))
        async with self._repositories.open(call.arguments["repository"], call.app) as repository:
            base = await repository.resolve(call.arguments.get("ref", "HEAD"))
            chosen, skipped = _choose(await repository.entries(base), Globs(patterns))
            tree = await self._workspaces.store(
                call.tenant, await self._fetch(call.tenant, repository, chosen)
            )
        shown = [{"path": path, "reason": reason} for path, reason in skipped[:_MAX_SKIPPED]]
        output = {
            "tree": tree,
            "base": base,
            "files": len(chosen),
            "skipped": shown,
            "skipped_total": len(skipped),
        }
        return ToolResult(output, tree)

    async def _fetch(
        self, tenant: str, repository: Repository, chosen: list[tuple[str, GitEntry]]
    ) -> list[File]:
        bodies = await repository.contents([entry.id for _, entry in chosen])
        files: list[File] = []
        for at in range(0, len(chosen), _AT_ONCE):
            group = zip(chosen[at : at + _AT_ONCE], bodies[at : at + _AT_ONCE], strict=True)
            puts = [self._workspaces.put(tenant, path, entry.mode, body) for (path, entry), body in group]
            files += await asyncio.gather(*puts)
        return files

    async def _diff(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        base = Digest(call.arguments["base"])
        now = call.tree if call.tree is not None else await self._workspaces.empty(call.tenant)
        patch = await self._workspaces.diff(call.tenant, base, now)
        files = parse_patch(patch) if patch else []
        text = patch[:MAX_TEXT].decode(errors="ignore")
        return ToolResult(
            {
                "patch": await self._blobs.put(call.tenant, patch),
                "text": text,
                "truncated": len(patch) > MAX_TEXT,
                "paths": [file.path for file in files],
                "added": sum(file.count(b"+") for file in files),
                "deleted": sum(file.count(b"-") for file in files),
            }
        )

    async def _apply(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        arguments = call.arguments
        patch = Digest(arguments["patch"])
        body = await self._blobs.get(call.tenant, patch)
        if body is None:
            raise NoSuchPatch(patch)
        landing = Landing(
            key=call.key,
            run=call.run,
            base=arguments["base"],
            branch=arguments["branch"],
            message=arguments["message"],
            patch=patch,
            files=tuple(parse_patch(body)),
            arguments=arguments_digest(arguments),
        )
        check_landing(landing)
        async with self._repositories.open(arguments["repository"], call.app) as repository:
            commit = await land(repository, landing)
        paths = sorted(file.path for file in landing.files)
        return ToolResult({"commit": commit, "branch": landing.branch, "base": landing.base, "paths": paths})


def _choose(
    entries: list[GitEntry], globs: Globs
) -> tuple[list[tuple[str, GitEntry]], list[tuple[str, str]]]:
    """Split a commit's entries into those that become files of the workspace and those that cannot."""
    chosen: list[tuple[str, GitEntry]] = []
    skipped: list[tuple[str, str]] = []
    for entry in entries:
        path = entry.path.decode(errors="replace")
        if not globs.fits(path):
            continue
        reason = _unfit(entry, path)
        if reason:
            skipped.append((path, reason))
        else:
            chosen.append((path, entry))
    if len(chosen) > MAX_FILES:
        raise TooMuch("the number of files selected", size=len(chosen), limit=MAX_FILES)
    total = sum(entry.size for _, entry in chosen)
    if total > MAX_SNAPSHOT_BYTES:
        raise TooMuch("the bytes of the files selected", size=total, limit=MAX_SNAPSHOT_BYTES)
    return chosen, skipped


def _unfit(entry: GitEntry, path: str) -> str:
    if entry.mode not in MODES:
        return "a link or a submodule"
    if entry.size > MAX_FILE_BYTES:
        return f"larger than {MAX_FILE_BYTES} bytes"
    try:
        check_path(path)
    except BadPath as refusal:
        return str(refusal.facts["reason"])
    return "" if path.encode() == entry.path else "its name is not UTF-8"


def _patch_needed(arguments: dict[str, Any]) -> FactsNeed:
    return FactsNeed((Digest(arguments["patch"]),))


def _patch_facts(arguments: dict[str, Any], artifacts: dict[Digest, bytes]) -> dict[str, Any]:
    patch = Digest(arguments["patch"])
    if patch not in artifacts:
        raise NoSuchPatch(patch)
    paths = sorted(file.path for file in parse_patch(artifacts[patch]))
    return {"paths": paths, "subject": patch, "branch": arguments["branch"]}
