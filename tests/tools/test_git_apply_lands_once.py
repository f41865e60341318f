"""`git.apply` lands one commit for one key, whatever repeats, races, crashes or stands in the way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tools_kit import FILES, KEY, TENANT, Hand, commit_all, git

from bailiwick.base import Digest
from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, FactsNeed
from bailiwick.sandbox import HostProcesses
from bailiwick.stores import DiskBlobs
from bailiwick.tools import Repositories, parse_patch
from bailiwick.tools.landing import Landing, arguments_digest, build, land, publish

BRANCH = "agent/health"


async def change(hand: Hand) -> dict[str, Any]:
    """Make a change in the workspace; answer the arguments that land it."""
    taken = await hand("git.snapshot", repository="service")
    await hand("files.edit", path="app/main.py", old="return 1", new="return 2")
    await hand("files.write", path="app/\u00e9t\u00e9 x.py", text="no newline")
    await hand("files.edit", path="app/crlf.txt", old="two\r\n", new="2\r\n")
    await hand("files.edit", path="run.sh", old="true", new="false")
    diff = await hand("git.diff", base=taken["tree"])
    return {
        "repository": "service", "base": taken["base"], "patch": diff["patch"], "branch": BRANCH, "message": "Add health\n\nIt answers.",
    }  # fmt: skip


def landing_of(arguments: dict[str, Any], body: bytes, key: str = KEY) -> Landing:
    return Landing(
        key=key, run="run_1", base=arguments["base"], branch=arguments["branch"], message=arguments["message"],
        patch=arguments["patch"], files=tuple(parse_patch(body)), arguments=arguments_digest(arguments),
    )  # fmt: skip


def commits(repository: Path, branch: str = BRANCH) -> list[str]:
    return git(repository, "rev-list", f"main..{branch}").decode().split()


async def test_the_commit_holds_exactly_the_patch(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    landed = await hand("git.apply", **arguments)
    assert commits(repository) == [landed["commit"]]
    assert git(repository, "show", f"{BRANCH}:app/main.py") == b"def main():\n    return 2\n"
    assert git(repository, "show", f"{BRANCH}:app/crlf.txt") == b"one\r\n2\r\nthree\r\n"
    assert git(repository, "show", f"{BRANCH}:app/\u00e9t\u00e9 x.py") == b"no newline"
    assert git(repository, "ls-tree", BRANCH, "run.sh").startswith(b"100755 ")
    assert git(repository, "show", f"{BRANCH}:README.md") == FILES["README.md"]
    assert landed["paths"] == sorted(["app/main.py", "app/crlf.txt", "app/\u00e9t\u00e9 x.py", "run.sh"])
    names = git(repository, "log", "-1", "--format=%an <%ae> %cn%n%s%n%(trailers)", BRANCH).decode()
    assert names.startswith("Bailiwick <bailiwick@localhost> Bailiwick\nAdd health\n")
    assert f"Bailiwick-Key: {KEY}" in names
    assert f"Bailiwick-Patch: {arguments['patch']}" in names
    git(repository, "fsck", "--strict")


async def test_the_working_copy_is_not_touched(hand: Hand, repository: Path) -> None:
    (repository / "app/main.py").write_bytes(b"mine\n")
    arguments = await change(hand)
    await hand("git.apply", **arguments)
    assert (repository / "app/main.py").read_bytes() == b"mine\n"
    assert git(repository, "status", "--porcelain") == b" M app/main.py\n"
    assert git(repository, "symbolic-ref", "HEAD") == b"refs/heads/main\n"


async def test_the_same_key_twice_is_one_commit(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    first = await hand("git.apply", **arguments)
    assert await hand("git.apply", **arguments) == first
    assert len(commits(repository)) == 1


async def test_the_same_key_at_the_same_time_is_one_commit(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    landed = await asyncio.gather(*(hand("git.apply", **arguments) for _ in range(4)))
    assert len({each["commit"] for each in landed}) == 1
    assert commits(repository) == [landed[0]["commit"]]


async def test_twins_that_both_built_a_commit_land_one(
    hand: Hand, repository: Path, repositories: Repositories, blobs: DiskBlobs
) -> None:
    arguments = await change(hand)
    landing = landing_of(arguments, await blobs.get(TENANT, arguments["patch"]) or b"")
    async with repositories.open("service") as one, repositories.open("service") as two:
        first, second = (
            await build(one, landing),
            await one.commit(arguments["base"], {"z": ("100644", b"")}, "late twin"),
        )
        assert first != second
        assert await publish(one, landing, first) == first
        assert await publish(two, landing, second) == first
    assert commits(repository) == [first]


async def test_a_crash_before_the_branch_leaves_one_commit(
    hand: Hand, repository: Path, repositories: Repositories, blobs: DiskBlobs
) -> None:
    arguments = await change(hand)
    body = await blobs.get(TENANT, arguments["patch"]) or b""
    async with repositories.open("service") as opened:
        await build(opened, landing_of(arguments, body))
    landed = await hand("git.apply", **arguments)
    assert commits(repository) == [landed["commit"]]


async def test_a_crash_behind_the_branch_is_healed_by_the_trailer(
    hand: Hand, repository: Path, repositories: Repositories, blobs: DiskBlobs
) -> None:
    arguments = await change(hand)
    landing = landing_of(arguments, await blobs.get(TENANT, arguments["patch"]) or b"")
    async with repositories.open("service") as opened:
        commit = await build(opened, landing)
        assert await opened.create_reference(landing.branch_reference, commit) == ""
        assert await opened.reference(landing.key_reference) is None
        landed = await hand("git.apply", **arguments)
        assert landed["commit"] == commit
        assert await opened.reference(landing.key_reference) == commit
    assert commits(repository) == [commit]


async def test_a_late_repeat_finds_the_commit_below_later_work(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    landed = await hand("git.apply", **arguments)
    git(repository, "switch", "-q", BRANCH)
    (repository / "later").write_text("x")
    commit_all(repository, "Go on")
    kept = git(repository, "for-each-ref", "--format=delete %(refname)", "refs/bailiwick")
    git(repository, "update-ref", "--stdin", stdin=kept)
    assert await hand("git.apply", **arguments) == landed
    assert len(commits(repository)) == 2


async def test_a_late_repeat_does_not_revive_a_branch_that_was_merged_and_deleted(
    hand: Hand, repository: Path
) -> None:
    arguments = await change(hand)
    landed = await hand("git.apply", **arguments)
    git(repository, "update-ref", "-d", f"refs/heads/{BRANCH}")
    assert await hand("git.apply", **arguments) == landed
    assert git(repository, "branch", "--list", BRANCH) == b""


async def test_a_branch_of_somebody_else_is_left_alone(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    git(repository, "branch", BRANCH)
    before = git(repository, "rev-parse", BRANCH)
    with pytest.raises(CallFailed, match="exists already") as failed:
        await hand("git.apply", **arguments)
    assert failed.value.category is ErrorCategory.REJECTED
    assert not failed.value.ambiguous
    assert git(repository, "rev-parse", BRANCH) == before


async def test_another_key_does_not_share_the_branch(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    await hand("git.apply", **arguments)
    with pytest.raises(CallFailed) as failed:
        await hand("git.apply", key="o" * 64, **arguments)
    assert failed.value.category is ErrorCategory.REJECTED
    assert len(commits(repository)) == 1


async def test_one_key_stands_for_one_content(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    await hand("git.apply", **arguments)
    with pytest.raises(CallFailed, match="another action"):
        await hand("git.apply", **{**arguments, "branch": "agent/other"})
    assert git(repository, "branch", "--list", "agent/other") == b""


async def test_a_message_cannot_pretend_to_carry_a_key(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    for line in (f"Bailiwick-Key: {KEY}", f"  bailiwick-key: {KEY}"):
        with pytest.raises(CallFailed, match="bad_landing"):
            await hand("git.apply", **{**arguments, "message": f"Add\n\n{line}"})
    git(
        repository, "commit", "-q", "--allow-empty", "-m", f"Forged\n\nBailiwick-Key: {'x' * 64}\n\nmore text"
    )
    git(repository, "branch", BRANCH)
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(CallFailed, match="exists already"):
        await hand("git.apply", key="x" * 64, **arguments)


@pytest.mark.parametrize(
    "branch",
    [
        "a..b",
        "a//b",
        "a/",
        "a/.b",
        "a.lock",
        "a/b.lock/c",
        "a.",
        "HEAD",
        "x/-y",
        "a@{0}",
        "-d",
        "refs heads",
        "../../HEAD",
    ],
)
async def test_a_branch_name_that_is_no_name_is_refused(hand: Hand, repository: Path, branch: str) -> None:
    arguments = await change(hand)
    refs = git(repository, "for-each-ref")
    with pytest.raises(CallFailed):
        await hand("git.apply", **{**arguments, "branch": branch})
    assert git(repository, "for-each-ref") == refs


async def test_a_branch_below_an_existing_branch_is_rejected(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    with pytest.raises(CallFailed, match="git refused the branch") as failed:
        await hand("git.apply", **{**arguments, "branch": "main/x"})
    assert failed.value.category is ErrorCategory.REJECTED


async def test_a_patch_of_another_base_does_not_land(hand: Hand, repository: Path) -> None:
    arguments = await change(hand)
    (repository / "app/main.py").write_bytes(b"# moved\ndef main():\n    return 1\n")
    moved = commit_all(repository, "Move a line down")
    with pytest.raises(CallFailed, match="patch_does_not_fit"):
        await hand("git.apply", **{**arguments, "base": moved})
    with pytest.raises(CallFailed, match="no_such_revision"):
        await hand("git.apply", **{**arguments, "base": "0" * 40})
    assert git(repository, "branch", "--list", BRANCH) == b""


NEW = b"diff --git a/%(p)s b/%(p)s\nnew file mode 100644\n--- /dev/null\n+++ b/%(p)s\n@@ -0,0 +1 @@\n+x\n"
EXISTING = b"diff --git a/%(p)s b/%(p)s\n--- a/%(p)s\n+++ b/%(p)s\n@@ -1 +1 @@\n-/etc/passwd\n+/etc/shadow\n"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (NEW % {b"p": b".git/config"}, "bad_patch"),
        (NEW % {b"p": b"../x"}, "bad_patch"),
        (NEW % {b"p": b"x"} + NEW % {b"p": b"app/../.GIT/x"}, "bad_patch"),
        (NEW % {b"p": b"app/main.py"}, "exists already"),
        (NEW % {b"p": b"link/x"}, "is a file"),
        (NEW % {b"p": b"README.md/x"}, "is a file"),
        (NEW % {b"p": b"app"}, "is a file"),
        (EXISTING % {b"p": b"link"}, "a link"),
        (EXISTING % {b"p": b"absent"}, "no such file"),
        (b"", "bad_patch"),
    ],
)
async def test_a_patch_that_means_harm_does_not_land(
    hand: Hand, repository: Path, blobs: DiskBlobs, body: bytes, why: str
) -> None:
    (repository / "link").symlink_to("/etc/passwd")
    base = commit_all(repository, "A link")
    patch = await blobs.put(TENANT, body)
    with pytest.raises(CallFailed, match=why):
        await hand("git.apply", repository="service", base=base, patch=patch, branch=BRANCH, message="Harm")
    assert git(repository, "branch", "--list", BRANCH) == b""


async def test_hooks_filters_and_settings_of_the_repository_do_not_run(
    hand: Hand, repository: Path, tmp_path: Path
) -> None:
    trap = f"#!/bin/sh\ntouch {tmp_path}/ran\n"
    hooks = repository / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for hook in (
        "pre-commit",
        "commit-msg",
        "post-commit",
        "post-checkout",
        "reference-transaction",
        "update",
        "post-index-change",
        "pre-auto-gc",
    ):
        (hooks / hook).write_text(trap)
        (hooks / hook).chmod(0o755)
    (tmp_path / "trap").write_text(trap)
    (tmp_path / "trap").chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil diff=evil merge=evil text eol=crlf\n")
    settings = {
        "filter.evil.clean": f"{tmp_path}/trap", "filter.evil.smudge": f"{tmp_path}/trap", "filter.evil.required": "true",
        "diff.evil.textconv": f"{tmp_path}/trap", "diff.external": f"{tmp_path}/trap", "core.fsmonitor": f"{tmp_path}/trap",
        "core.hooksPath": str(hooks), "commit.gpgSign": "true", "gpg.program": f"{tmp_path}/trap", "core.autocrlf": "true",
        "core.alternateRefsCommand": f"{tmp_path}/trap", "apply.whitespace": "fix", "core.editor": f"{tmp_path}/trap",
    }  # fmt: skip
    for name, value in settings.items():
        git(repository, "config", name, value)
    arguments = await change(hand)
    landed = await hand("git.apply", **arguments)
    assert not (tmp_path / "ran").exists()
    raw = git(repository, "-c", "core.hooksPath=/dev/null", "cat-file", "-p", landed["commit"])
    assert b"gpgsig" not in raw
    assert git(repository, "cat-file", "blob", f"{BRANCH}:app/crlf.txt") == b"one\r\n2\r\nthree\r\n"


async def test_a_replaced_object_does_not_change_what_lands(hand: Hand, repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD").decode().strip()
    (repository / "planted").write_text("x")
    other = commit_all(repository, "Planted")
    git(repository, "reset", "-q", "--hard", base)
    git(repository, "replace", base, other)
    arguments = await change(hand)
    await hand("git.apply", **arguments)
    listed = git(repository, "--no-replace-objects", "ls-tree", "-r", "--name-only", BRANCH)
    assert b"planted" not in listed


async def test_a_bare_repository_of_the_longer_ids_takes_a_commit_too(
    hand: Hand, repository: Path, tmp_path: Path, blobs: DiskBlobs
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "-b", "main", str(bare))
    tree = git(bare, "mktree").decode().strip()
    base = git(bare, "commit-tree", tree, "-m", "Empty").decode().strip()
    git(bare, "update-ref", "refs/heads/main", base)
    body = NEW % {b"p": b"a"}
    arguments = {"base": base, "branch": "b", "message": "m", "patch": await blobs.put(TENANT, body)}
    opened = Repositories({"bare": bare}, HostProcesses(), tmp_path / "other-scratch")
    async with opened.open("bare") as target:
        commit = await land(target, landing_of(arguments, body))
        assert await land(target, landing_of(arguments, body)) == commit
    assert len(commit) == 64
    assert list((tmp_path / "other-scratch").iterdir()) == []


async def test_policy_learns_the_paths_the_subject_and_the_branch(hand: Hand, blobs: DiskBlobs) -> None:
    arguments = await change(hand)
    contract = hand.contract("git.apply")
    assert hand.host.facts(contract, arguments) == FactsNeed((arguments["patch"],))
    body = await blobs.get(TENANT, arguments["patch"]) or b""
    assert hand.host.derive_facts(contract, arguments, {arguments["patch"]: body}) == {
        "paths": sorted(["app/main.py", "app/crlf.txt", "app/\u00e9t\u00e9 x.py", "run.sh"]),
        "subject": arguments["patch"],
        "branch": BRANCH,
    }
    assert hand.host.facts(hand.contract("files.read"), {"path": "a"}) is None


async def test_a_patch_that_cannot_be_read_has_no_facts(hand: Hand) -> None:
    contract = hand.contract("git.apply")
    arguments = {"patch": "0" * 64, "branch": "b"}
    for artifacts in ({}, {Digest("0" * 64): b"rename from a\nrename to b\n"}):
        with pytest.raises(CallFailed, match=r"no_such_patch|bad_patch"):
            hand.host.derive_facts(contract, arguments, artifacts)
