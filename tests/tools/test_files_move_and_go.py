"""Files are deleted, moved and made executable in the workspace, and the patch of that lands."""

from pathlib import Path

import pytest
from tools_kit import FILES, Hand, git

from bailiwick.ports import CallFailed


async def test_a_deleted_file_is_gone_and_cannot_be_deleted_again(hand: Hand) -> None:
    await hand("files.write", path="a", text="one")
    await hand("files.write", path="b", text="two")
    await hand("files.delete", path="a")
    assert (await hand("files.list"))["paths"] == ["b"]
    before = hand.tree
    with pytest.raises(CallFailed, match="no_such_file"):
        await hand("files.delete", path="a")
    assert hand.tree == before


async def test_a_moved_file_keeps_content_and_mode_and_covers_no_other(hand: Hand, repository: Path) -> None:
    await hand("git.snapshot", repository="service")
    await hand("files.move", path="run.sh", to="bin/start.sh")
    assert (await hand("files.read", path="bin/start.sh"))["text"].encode() == FILES["run.sh"]
    for path, to, reason in (
        ("run.sh", "x", "no_such_file"),
        ("bin/start.sh", "README.md", "file_there"),
        ("bin/start.sh", "README.md/x", "bad_path"),
        ("bin/start.sh", "bin/start.sh", "file_there"),
    ):
        before = hand.tree
        with pytest.raises(CallFailed, match=reason):
            await hand("files.move", path=path, to=to)
        assert hand.tree == before


async def test_what_was_deleted_moved_and_marked_lands_as_such(hand: Hand, repository: Path) -> None:
    taken = await hand("git.snapshot", repository="service")
    await hand("files.delete", path="app/no_end.txt")
    await hand("files.move", path="run.sh", to="bin/start.sh")
    await hand("files.write", path="tool.sh", text="#!/bin/sh\n")
    await hand("files.mode", path="tool.sh", executable=True)
    await hand("files.mode", path="bin/start.sh", executable=False)
    patch = (await hand("git.diff", base=taken["tree"]))["patch"]
    landed = await hand(
        "git.apply",
        repository="service",
        base=taken["base"],
        branch="bailiwick/change",
        message="Change",
        patch=patch,
    )
    listed = git(repository, "ls-tree", "-r", landed["commit"]).decode().splitlines()
    modes = {line.split("\t")[1]: line.split(" ")[0] for line in listed}
    assert "app/no_end.txt" not in modes
    assert "run.sh" not in modes
    assert (modes["tool.sh"], modes["bin/start.sh"]) == ("100755", "100644")


async def test_a_file_that_is_not_there_has_no_mode(hand: Hand) -> None:
    with pytest.raises(CallFailed, match="no_such_file"):
        await hand("files.mode", path="a", executable=True)
