"""Linked worktrees are read at their own HEAD; a repository that does not hold its files says so and what helps."""

from pathlib import Path

import pytest
from tools_kit import commit_all, git

from bailiwick.base import Refusal
from bailiwick.sandbox import HostProcesses
from bailiwick.tools import Repositories


def opened(folder: Path, scratch: Path) -> Repositories:
    return Repositories({"it": folder}, HostProcesses(), scratch)


async def test_a_linked_worktree_is_read_at_its_own_head(repository: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(repository, "worktree", "add", "-q", "-b", "feature", str(linked))
    (linked / "README.md").write_text("feature\n")
    tip = commit_all(linked, "Feature")
    async with opened(linked, tmp_path / "scratch").open("it") as it:
        assert await it.resolve("HEAD") == tip
        assert await it.resolve("main") == git(repository, "rev-parse", "main").decode().strip()
        assert await it.create_reference("refs/heads/bailiwick/x", tip) == ""
    assert git(repository, "rev-parse", "bailiwick/x").decode().strip() == tip


async def test_a_detached_worktree_is_read_where_it_stands(repository: Path, tmp_path: Path) -> None:
    linked, first = tmp_path / "linked", git(repository, "rev-parse", "HEAD").decode().strip()
    (repository / "README.md").write_text("later\n")
    commit_all(repository, "Later")
    git(repository, "worktree", "add", "-q", "--detach", str(linked), first)
    async with opened(linked, tmp_path / "scratch").open("it") as it:
        assert await it.resolve("HEAD") == first


async def test_an_unborn_branch_names_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "new")
    async with opened(tmp_path / "new", tmp_path / "scratch").open("it") as it:
        with pytest.raises(Refusal, match="does not name a commit"):
            await it.resolve("HEAD")


async def test_a_partial_clone_is_refused_with_the_command_that_helps(
    repository: Path, tmp_path: Path
) -> None:
    git(repository, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", repository.as_uri(), str(partial))
    async with opened(partial, tmp_path / "scratch").open("it") as it:
        with pytest.raises(Refusal, match="partial clone") as refused:
            await it.entries(await it.resolve("HEAD"))
    assert "git fetch --refetch --no-filter" in refused.value.remedy
    git(partial, *["fetch", "-q", "--refetch", "--no-filter"])
    async with opened(partial, tmp_path / "scratch").open("it") as it:
        entries = await it.entries(await it.resolve("HEAD"))
        assert len(await it.contents([entry.id for entry in entries])) == len(entries) > 0


async def test_a_lost_object_is_named(repository: Path, tmp_path: Path) -> None:
    async with opened(repository, tmp_path / "scratch").open("it") as it:
        with pytest.raises(Refusal, match="does not hold the object"):
            await it.contents(["1" * 40])
