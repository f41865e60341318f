"""The file tools read and write the run's workspace; each write names a new tree."""

import pytest
from tools_kit import Hand, store

from bailiwick.contract import EffectClass, ErrorCategory, WorkspaceUse
from bailiwick.ports import CallFailed
from bailiwick.stores import DiskBlobs
from bailiwick.tools import Workspaces


async def test_what_was_written_is_read_and_listed(hand: Hand) -> None:
    await hand("files.write", path="app/a.py", text="one\ntwo\nthree\n")
    first = hand.tree
    await hand("files.write", path="b.txt", text="")
    assert hand.tree != first
    assert await hand("files.list") == {"paths": ["app/a.py", "b.txt"], "total": 2}
    assert await hand("files.list", folder="app/") == {"paths": ["app/a.py"], "total": 1}
    assert (await hand("files.read", path="app/a.py"))["text"] == "one\ntwo\nthree\n"
    part = await hand("files.read", path="app/a.py", first_line=2, lines=1)
    assert (part["text"], part["lines"], part["total_lines"]) == ("two\n", 1, 3)


async def test_an_edit_replaces_the_one_place(hand: Hand) -> None:
    await hand("files.write", path="a", text="x = 1\r\ny = 1\r\n")
    await hand("files.edit", path="a", old="y = 1", new="y = 2")
    assert (await hand("files.read", path="a"))["text"] == "x = 1\r\ny = 2\r\n"


@pytest.mark.parametrize(("old", "count"), [("aa", 2), ("b", 0), ("a", 3)])
async def test_an_edit_that_could_mean_two_places_changes_nothing(hand: Hand, old: str, count: int) -> None:
    await hand("files.write", path="a", text="aaa")
    before = hand.tree
    with pytest.raises(CallFailed, match=f"no_unique_match.*{count} times") as failed:
        await hand("files.edit", path="a", old=old, new="x")
    assert failed.value.category is ErrorCategory.TOOL_FAILED
    assert hand.tree == before


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", ".git/config", "a\\b", "a/../../b"])
@pytest.mark.parametrize("tool", ["files.read", "files.write", "files.edit", "files.delete", "files.move"])
async def test_a_hostile_path_comes_back_with_its_remedy(hand: Hand, tool: str, path: str) -> None:
    more = {"files.write": {"text": ""}, "files.edit": {"old": "a", "new": "b"}}.get(tool, {})
    if tool == "files.move":
        await hand("files.write", path="here", text="")
        path, more = "here", {"to": path}
    with pytest.raises(CallFailed, match=r"bad_path: .*give a relative path"):
        await hand(tool, path=path, **more)


async def test_a_binary_file_is_neither_shown_nor_edited(hand: Hand, workspaces: Workspaces) -> None:
    hand.tree = await store(workspaces, {"a.bin": b"\xff\x00"})
    for tool, more in (("files.read", {}), ("files.edit", {"old": "a", "new": "b"})):
        with pytest.raises(CallFailed, match="not_text"):
            await hand(tool, path="a.bin", **more)


async def test_a_long_file_is_read_in_parts(hand: Hand) -> None:
    await hand("files.write", path="a", text="x" * 99 + "\n" + "y" * 70_000 + "\nend\n")
    part = await hand("files.read", path="a")
    assert (part["lines"], part["total_lines"]) == (1, 3)
    assert (await hand("files.read", path="a", first_line=3))["text"] == "end\n"


async def test_a_tree_of_another_tenant_is_not_there(hand: Hand, blobs: DiskBlobs) -> None:
    other = Workspaces(blobs)
    hand.tree = await other.write("rival", await other.empty("rival"), {"secret": b"1"})
    with pytest.raises(CallFailed, match="no_such_tree"):
        await hand("files.list")


def test_the_file_tools_change_nothing_but_the_workspace(hand: Hand) -> None:
    uses = {each.name: each.workspace for each in hand.host.contracts() if each.name.startswith("files.")}
    assert uses == {
        "files.list": WorkspaceUse.READS,
        "files.read": WorkspaceUse.READS,
        "files.write": WorkspaceUse.WRITES,
        "files.edit": WorkspaceUse.WRITES,
        "files.delete": WorkspaceUse.WRITES,
        "files.move": WorkspaceUse.WRITES,
        "files.mode": WorkspaceUse.WRITES,
    }
    assert all(hand.contract(name).effect is EffectClass.READ_ONLY for name in uses)
