"""A commit becomes the workspace, and the workspace a patch, without the repository's hooks or filters."""

from pathlib import Path

import pytest
from tools_kit import FILES, TENANT, Hand, commit_all, git

from bailiwick.ports import CallFailed
from bailiwick.stores import DiskBlobs
from bailiwick.tools import Workspaces


async def test_a_snapshot_holds_the_files_of_the_commit(
    hand: Hand, repository: Path, workspaces: Workspaces
) -> None:
    (repository / "app/main.py").write_bytes(b"not committed\n")
    taken = await hand("git.snapshot", repository="service")
    assert taken["base"] == git(repository, "rev-parse", "HEAD").decode().strip()
    assert taken["tree"] == hand.tree
    assert hand.tree is not None
    files = await workspaces.list(TENANT, hand.tree)
    assert {file.path: await workspaces.content(TENANT, file) for file in files} == FILES
    assert [file.path for file in files if file.mode == "100755"] == ["run.sh"]


@pytest.mark.parametrize(
    ("include", "paths"),
    [
        (["*"], ["README.md", "run.sh"]),
        (["app/*.py"], ["app/main.py"]),
        (["**/*.py", "run.??"], ["app/main.py", "run.sh"]),
        (["app/**"], ["app/crlf.txt", "app/main.py", "app/no_end.txt"]),
        (["(a|R).*", "app"], []),
    ],
)
async def test_a_snapshot_takes_what_the_globs_select(
    hand: Hand, include: list[str], paths: list[str]
) -> None:
    await hand("git.snapshot", repository="service", include=include)
    assert (await hand("files.list"))["paths"] == paths


async def test_what_cannot_be_a_file_of_a_workspace_is_skipped_by_name(hand: Hand, repository: Path) -> None:
    (repository / "link").symlink_to("/etc/passwd")
    (repository / "large").write_bytes(b"x" * 1_048_577)
    (repository / "back\\slash").write_bytes(b"")
    commit_all(repository, "Odd files")
    taken = await hand("git.snapshot", repository="service")
    assert [each["path"] for each in taken["skipped"]] == ["back\\slash", "large", "link"]
    assert taken["skipped_total"] == 3
    assert taken["files"] == len(FILES)


@pytest.mark.parametrize(
    "ref", ["nowhere", "HEAD~0", "--all", ":/Begin", "HEAD:app", "@{0}", "main..main", "a" * 40]
)
async def test_what_names_no_commit_is_refused(hand: Hand, ref: str) -> None:
    with pytest.raises(CallFailed, match="no_such_revision"):
        await hand("git.snapshot", repository="service", ref=ref)


@pytest.mark.parametrize("name", ["/etc", "../service", "other"])
async def test_a_repository_is_named_never_located(hand: Hand, name: str) -> None:
    with pytest.raises(CallFailed, match="no_such_repository"):
        await hand("git.snapshot", repository=name)


async def test_a_smudge_filter_of_the_repository_does_not_run(
    hand: Hand, repository: Path, workspaces: Workspaces, tmp_path: Path
) -> None:
    git(repository, "config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    git(repository, "config", "core.autocrlf", "true")
    git(repository, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
    (repository / ".git/info/attributes").write_text("* filter=evil eol=crlf ident\n")
    await hand("git.snapshot", repository="service")
    assert hand.tree is not None
    assert await workspaces.read(TENANT, hand.tree, "app/main.py") == FILES["app/main.py"]
    assert not (tmp_path / "ran").exists()


async def test_a_diff_names_paths_and_counts_and_is_kept_as_an_artifact(hand: Hand, blobs: DiskBlobs) -> None:
    taken = await hand("git.snapshot", repository="service")
    await hand("files.edit", path="app/main.py", old="return 1", new="return 2")
    await hand("files.write", path="app/health.py", text="OK = True\n")
    diff = await hand("git.diff", base=taken["tree"])
    assert diff["paths"] == ["app/health.py", "app/main.py"]
    assert (diff["added"], diff["deleted"], diff["truncated"]) == (2, 1, False)
    body = await blobs.get(TENANT, diff["patch"])
    assert body is not None
    assert body.decode() == diff["text"]


async def test_a_diff_of_nothing_is_empty(hand: Hand) -> None:
    taken = await hand("git.snapshot", repository="service")
    diff = await hand("git.diff", base=taken["tree"])
    assert (diff["text"], diff["paths"]) == ("", [])


async def test_a_long_diff_is_shown_in_part_and_kept_whole(hand: Hand, blobs: DiskBlobs) -> None:
    taken = await hand("git.snapshot", repository="service")
    await hand("files.write", path="big.txt", text="\u00e9" * 60_000)
    diff = await hand("git.diff", base=taken["tree"])
    assert diff["truncated"]
    body = await blobs.get(TENANT, diff["patch"])
    assert body is not None
    assert body.decode().startswith(diff["text"])
    assert len(body) > 120_000
