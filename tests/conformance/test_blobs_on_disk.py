"""Blobs: immutable, checked at every read, and nobody else's to guess."""

import asyncio
from pathlib import Path

import pytest
from conformance_shapes import BLOB_KEY

from bailiwick.base import Digest, digest_of
from bailiwick.ports import Draft, Unit
from bailiwick.stores import BlobDamaged, BlobTooLarge, DiskBlobs
from bailiwick.stores.large import INLINE_BYTES, LargePayloads


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(root: Path) -> DiskBlobs:
    return DiskBlobs(root, BLOB_KEY, max_bytes=1_000_000)


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


async def test_what_a_tenant_stores_is_known_to_the_byte(blobs: DiskBlobs, root: Path) -> None:
    assert blobs.stored("acme") is None, "nobody has counted yet"
    gone = await blobs.put("acme", b"x" * 1_000)
    await blobs.put("evil", b"y" * 77)
    assert await blobs.count("acme") == blobs.stored("acme") == 1_000
    await asyncio.gather(*[blobs.put("acme", b"same" * 100) for _ in range(32)])
    assert blobs.stored("acme") == 1_400
    await blobs.remove("acme", gone)
    await blobs.remove("acme", gone)
    assert blobs.stored("acme") == 400
    (damaged,) = (path for path in files(root) if path.read_bytes() == b"same" * 100)
    damaged.write_bytes(b"sam")
    assert await blobs.count("acme") == 3
    await blobs.put("acme", b"same" * 100)
    assert blobs.stored("acme") == 400 == await blobs.count("acme")
    assert await DiskBlobs(root, BLOB_KEY).count("evil") == 77
    assert await blobs.count("stranger") == 0


@pytest.mark.parametrize("body", [b"", b"x", b"\0" * 1_000_000], ids=["empty", "small", "at the limit"])
async def test_a_blob_comes_back_under_its_digest(blobs: DiskBlobs, body: bytes) -> None:
    digest = await blobs.put("acme", body)
    assert digest == digest_of(body)
    assert await blobs.get("acme", digest) == body
    assert await blobs.has("acme", digest)


async def test_storing_again_is_one_file(blobs: DiskBlobs, root: Path) -> None:
    digests = await asyncio.gather(*[blobs.put("acme", b"same") for _ in range(32)])
    assert set(digests) == {digest_of(b"same")}
    assert len(files(root)) == 1


async def test_a_tenant_neither_sees_nor_can_name_the_blobs_of_another(blobs: DiskBlobs, root: Path) -> None:
    digest = await blobs.put("acme", b"secret")
    assert await blobs.get("rival", digest) is None
    assert not await blobs.has("rival", digest)
    await blobs.put("rival", b"secret")
    mine, theirs = files(root)
    assert mine.name != theirs.name
    for path in (mine, theirs):
        assert digest not in str(path)
        assert digest_of(b"acme" + digest.encode()) not in str(path)
    other = DiskBlobs(root, b"another deployment's key")
    assert await other.get("acme", digest) is None


@pytest.mark.parametrize(
    ("tenant", "name"), [("a", "bc"), ("ab", "c"), ("../../etc", "passwd"), ("a/b", "\0"), ("", "")]
)
async def test_odd_names_are_absent_and_stay_inside(
    blobs: DiskBlobs, root: Path, tenant: str, name: str
) -> None:
    assert await blobs.get(tenant, Digest(name)) is None
    await blobs.put(tenant, name.encode())
    assert len(files(root.parent)) == len(files(root)) == 1


async def test_damage_is_found_and_storing_again_heals_it(blobs: DiskBlobs, root: Path) -> None:
    digest = await blobs.put("acme", b"original")
    files(root)[0].write_bytes(b"0riginal")
    with pytest.raises(BlobDamaged) as refusal:
        await blobs.get("acme", digest)
    assert refusal.value.facts == {"digest": digest}
    await blobs.put("acme", b"original")
    assert await blobs.get("acme", digest) == b"original"


async def test_a_blob_over_the_limit_is_refused_and_not_written(blobs: DiskBlobs, root: Path) -> None:
    with pytest.raises(BlobTooLarge) as refusal:
        await blobs.put("acme", b"1" * 1_000_001)
    assert refusal.value.facts == {"size": 1_000_001, "limit": 1_000_000}
    assert files(root) == []


async def test_what_a_crash_left_unfinished_is_never_read_and_is_swept(blobs: DiskBlobs, root: Path) -> None:
    digest = await blobs.put("acme", b"whole")
    (root / "unfinished" / "leftover").write_bytes(b"ha")
    DiskBlobs(root, BLOB_KEY).sweep()
    assert len(files(root)) == 1
    assert await blobs.get("acme", digest) == b"whole"


async def test_of_several_processes_on_one_folder_none_sweeps_what_another_is_writing(root: Path) -> None:
    for owner in ("a", "b"):
        (root / "unfinished").mkdir(parents=True, exist_ok=True)
        (root / "unfinished" / f"{owner}-0").write_bytes(b"ha")
    DiskBlobs(root, BLOB_KEY, owner="a").sweep()
    assert [path.name for path in (root / "unfinished").iterdir()] == ["b-0"]
    digest = await DiskBlobs(root, BLOB_KEY, owner="b").put("acme", b"shared")
    assert await DiskBlobs(root, BLOB_KEY, owner="a").get("acme", digest) == b"shared"


def test_a_short_key_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        DiskBlobs(root, b"short")


@pytest.mark.parametrize("commits", ["before it goes", "after it went"])
async def test_a_blob_that_another_process_commits_while_it_is_removed_stays(
    root: Path, commits: str
) -> None:
    """Two processes share the folder: one removes what it saw nobody need, the other commits the same content."""
    ours, theirs = (DiskBlobs(root, BLOB_KEY, owner=owner) for owner in ("a", "b"))
    body = b"x" * (INLINE_BYTES + 1)
    digest = await ours.put("acme", body)
    found, gone, committed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def commit() -> None:
        unit = Unit("acme", "run_b", 0, (Draft({"kind": "big"}, body),))
        async with LargePayloads(theirs).stored(unit) as names:
            assert names == (digest,)
            found.set()
            if commits == "after it went":
                await gone.wait()
            committed.set()

    async def is_named() -> bool:
        named = committed.is_set()
        if not found.is_set():
            other.append(asyncio.ensure_future(commit()))
            await found.wait()
            if commits == "before it goes":
                await other[0]
        return named

    other: list[asyncio.Future[None]] = []
    assert await LargePayloads(ours).remove("acme", digest, is_named)
    gone.set()
    await other[0]
    assert await theirs.get("acme", digest) == body
