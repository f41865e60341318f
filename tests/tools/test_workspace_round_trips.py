"""What was written to a workspace is read back, and names one tree whatever the way there."""

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools_kit import TENANT, run, store

from bailiwick.base import Digest, canonical
from bailiwick.stores import DiskBlobs
from bailiwick.tools import BadPath, Checkouts, NoSuchFile, NoSuchTree, TooMuch, Workspaces

paths = st.sampled_from(["a", "b.txt", "d/e", "d/f", "d/g/h", "\u00e9", 'q"t', "x y"])
bodies = st.binary(max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(paths, bodies, min_size=1, max_size=3), max_size=3))
def test_many_small_writes_name_the_tree_that_one_write_names(
    workspaces: Workspaces, edits: list[dict[str, bytes]]
) -> None:
    async def check() -> None:
        tree = await workspaces.empty(TENANT)
        expected: dict[str, bytes] = {}
        for edit in edits:
            tree = await workspaces.write(TENANT, tree, edit)
            expected |= edit
        assert tree == await store(workspaces, expected)
        assert [file.path for file in await workspaces.list(TENANT, tree)] == sorted(expected)
        for path, body in expected.items():
            assert await workspaces.read(TENANT, tree, path) == body
        everything_gone: dict[str, bytes | None] = dict.fromkeys(expected)
        assert await workspaces.write(TENANT, tree, everything_gone) == await workspaces.empty(TENANT)

    run(check())


async def test_a_write_leaves_the_old_tree_as_it_was(workspaces: Workspaces) -> None:
    before = await store(workspaces, {"a": b"1"})
    after = await workspaces.write(TENANT, before, {"a": b"2"})
    assert await workspaces.read(TENANT, before, "a") == b"1"
    assert await workspaces.read(TENANT, after, "a") == b"2"


async def test_another_tenant_sees_nothing(workspaces: Workspaces) -> None:
    tree = await store(workspaces, {"a": b"1"})
    with pytest.raises(NoSuchTree):
        await workspaces.list("other", tree)


@pytest.mark.parametrize("path", ["../x", ".git/config", "a/b"])
async def test_a_bad_path_is_not_written(workspaces: Workspaces, path: str) -> None:
    tree = await store(workspaces, {"a": b"1"})
    with pytest.raises(BadPath):
        await workspaces.write(TENANT, tree, {path: b""})


async def test_what_is_too_large_is_refused(workspaces: Workspaces) -> None:
    tree = await workspaces.empty(TENANT)
    with pytest.raises(TooMuch):
        await workspaces.write(TENANT, tree, {"a": b"x" * 1_048_577})
    entry = await workspaces.put(TENANT, "a", "100644", b"")
    many = [type(entry)(f"f{index}", "100644", entry.digest) for index in range(5001)]
    with pytest.raises(TooMuch):
        await workspaces.store(TENANT, many)


async def test_a_file_that_is_not_there_is_named(workspaces: Workspaces) -> None:
    tree = await workspaces.empty(TENANT)
    with pytest.raises(NoSuchFile):
        await workspaces.read(TENANT, tree, "a")
    with pytest.raises(NoSuchFile):
        await workspaces.write(TENANT, tree, {"a": None})


ZERO = "0" * 64


@pytest.mark.parametrize(
    "manifest",
    [
        b"not json",
        b"{}",
        b"[[]]",
        canonical([["../x", "100644", ZERO]]),
        canonical([["a", "120000", ZERO]]),
        canonical([["a", "100644", "short"]]),
        canonical([["b", "100644", ZERO], ["a", "100644", ZERO]]),
        canonical([["a", "100644", ZERO], ["a", "100644", ZERO]]),
        canonical([["a", "100644", ZERO], ["a/b", "100644", ZERO]]),
        b'[ ["a","100644","' + ZERO.encode() + b'"]]',
    ],
)
async def test_an_artifact_that_is_no_manifest_is_no_tree(
    blobs: DiskBlobs, workspaces: Workspaces, manifest: bytes
) -> None:
    with pytest.raises(NoSuchTree):
        await workspaces.list(TENANT, await blobs.put(TENANT, manifest))
    with pytest.raises(NoSuchTree):
        await workspaces.list(TENANT, Digest("../../etc/passwd"))


async def test_a_checkout_is_read_only_and_rebuilt_when_it_was_changed(
    workspaces: Workspaces, tmp_path: Path
) -> None:
    tree = await store(workspaces, {"d/a": b"1", "b": b"2"})
    folder = await Checkouts(workspaces, tmp_path / "cache").materialise(TENANT, tree)
    assert {
        str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    } == {
        "d/a": b"1",
        "b": b"2",
    }
    assert all(not stat.S_IMODE(path.stat().st_mode) & 0o222 for path in [folder, *folder.rglob("*")])
    (folder / "b").chmod(0o644)
    (folder / "b").write_bytes(b"evil")
    again = await Checkouts(workspaces, tmp_path / "cache").materialise(TENANT, tree)
    assert (again / "b").read_bytes() == b"2"
    folder.chmod(0o755)
    (folder / "extra").symlink_to("/etc/passwd")
    again = await Checkouts(workspaces, tmp_path / "cache").materialise(TENANT, tree)
    assert not (again / "extra").exists()


async def test_two_tenants_share_no_checkout(workspaces: Workspaces, tmp_path: Path) -> None:
    checkouts = Checkouts(workspaces, tmp_path / "cache")
    tree = await store(workspaces, {"a": b"1"})
    await checkouts.materialise(TENANT, tree)
    with pytest.raises(NoSuchTree):
        await checkouts.materialise("other", tree)


async def test_the_cache_keeps_a_bounded_number_of_checkouts(workspaces: Workspaces, tmp_path: Path) -> None:
    checkouts = Checkouts(workspaces, tmp_path / "cache")
    for number in range(70):
        folder = await checkouts.materialise(TENANT, await store(workspaces, {"a": str(number).encode()}))
        assert (folder / "a").read_bytes() == str(number).encode()
    assert len(list((tmp_path / "cache").iterdir())) == 64
