"""A power cut at any moment loses nothing that was acknowledged, corrupts nothing, leaves nothing dangling (P1, P7)."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from crash_check import damaged, integrity, lost
from crash_kit import LONG, CrashServer
from crash_shop import crash_shop
from power_kit import STRACE, Act, images, read_trace

from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.stores import SqliteStore
from bailiwick.wiring.compiler import run_policy_compiler
from figures import tell
from platform_kit import System
from shop_kit import POLICIES

IMAGES = 10_000 if LONG else 120
PLANTED = 400 if LONG else 16
SEED = 20_261


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return build_bundle(stacked(POLICIES), run_policy_compiler)


def recorded(server: CrashServer, folder: Path, plant: str = "") -> list[Act]:
    """Record what one run of the workload does to its disk, from the very first folder on."""
    log = folder.with_suffix(".trace")
    answer = server.work(folder, "-o", str(log), *STRACE, plant=plant)
    assert answer["said"][-1] == {"done": True}, (folder / "child.log").read_text()
    return read_trace(log, folder / "system")


async def test_a_power_cut_at_any_moment_loses_nothing(
    server: CrashServer, tmp_path: Path, bundle: Bundle
) -> None:
    acts = recorded(server, tmp_path / "work")
    kinds = {act.kind for act in acts}
    assert {"write", "sync", "rename", "unlink", "mkdir", "create", "said"} <= kinds
    found = await judged(acts, tmp_path, bundle, IMAGES)
    tell(
        f"{len(acts)} acts, {found['images']} images ({found['distinct']} distinct), {found['acknowledged']}"
        f" acknowledged commits looked for, {len(found['faults'])} faults"
    )
    assert found["faults"] == []
    assert found["acknowledged"] > IMAGES


@pytest.mark.parametrize("plant", ["synchronous-normal", "blob-not-synced", "folder-not-synced"])
async def test_what_is_not_synced_is_found(
    server: CrashServer, tmp_path: Path, bundle: Bundle, plant: str
) -> None:
    acts = recorded(server, tmp_path / "work", plant)
    found = await judged(acts, tmp_path, bundle, PLANTED)
    tell(f"{plant}: {len(found['faults'])} faults in {found['images']} images, as {found['faults'][:1]}")
    assert len(found["faults"]) > 0


async def judged(acts: list[Act], folder: Path, bundle: Bundle, count: int) -> dict[str, Any]:
    """Open image after image with the product and hold it to what had been said."""
    faults: list[str] = []
    acknowledged = 0
    seen: dict[str, bool] = {}
    root = folder / "work" / "system"
    for number, (disk, chance, said) in enumerate(images(acts, root, count, SEED)):
        place = folder / f"image-{number}"
        place.mkdir()
        disk.image(chance, place / "system")
        seen[_print_of(place)] = True
        acknowledged += sum("stream" in line for line in said)
        newest = {line["stream"]: line for line in said if "stream" in line}
        faults += [
            f"image {number}: {fault}" for fault in await _opened(place, bundle, list(newest.values()))
        ]
        shutil.rmtree(place)
    return {"images": count, "distinct": len(seen), "acknowledged": acknowledged, "faults": faults}


async def _opened(place: Path, bundle: Bundle, said: list[dict[str, Any]]) -> list[str]:
    system = System(place / "system", bundle, crash_shop(place / "effects"))
    try:
        await system.open()
        faults = [*await lost(system, said), *await damaged(system)]
    except Exception as error:  # whatever the product raises over an image is what is looked for
        faults = [f"{type(error).__name__}: {error}"]
    if isinstance(getattr(system, "store", None), SqliteStore):
        system.tampered = bool(faults)  # what was found is told; closing would only say so again
        try:
            await system.close()
        except Exception as error:  # closing replays every run, which reads what nothing else has read
            faults.append(f"{type(error).__name__}: {error}")
        faults += integrity(place / "system")
    return faults


def _print_of(place: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        digest.update(str(path.relative_to(place)).encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
