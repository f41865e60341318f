"""Keeps a ledger of this release for later ones to open: `python tests/upgrade/upgrade_renew.py NAME`.

Each release that is kept has a folder: what lay on disk beside SQLite and beside PostgreSQL, and the database as SQL.
"""

import asyncio
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from upgrade_stories import tell_all, the_shop

from bailiwick.policy import build_bundle, stacked
from bailiwick.wiring.compiler import run_policy_compiler
from platform_kit import System
from postgres_kit import cluster
from postgres_platform_kit import PostgresSystem
from shop_kit import POLICIES

KEPT = Path(__file__).parent / "kept"


async def lived(system: System, depot: object) -> dict[str, str]:
    """Lead one platform through the stories, and end its process."""
    await system.open()
    runs = await tell_all(system, depot)  # type: ignore[arg-type]
    await system.close()
    return runs


def packed(folder: Path, into: Path) -> None:
    """Put a folder into an archive, without the files that belong to a process."""
    with tarfile.open(into, "w:xz") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in ("lock", "node"):
                archive.add(path, str(path.relative_to(folder)))


def main(name: str) -> None:
    """Write both ledgers of this release."""
    into = KEPT / name
    into.mkdir(parents=True)
    runs = {}
    bundle = build_bundle(stacked(POLICIES), run_policy_compiler)
    with tempfile.TemporaryDirectory() as temporary:
        url = cluster().database()
        for store in ("sqlite", "postgres"):
            folder = Path(temporary) / store
            shop, depot = the_shop()
            system = (
                System(folder, bundle, shop)
                if store == "sqlite"
                else PostgresSystem(url, folder, bundle, shop)
            )
            runs[store] = asyncio.run(lived(system, depot))
            packed(folder, into / f"{store}.tar.xz")
        dumped = subprocess.run(
            ["pg_dump", "--no-owner", "--inserts", url], capture_output=True, check=True, text=True
        ).stdout
    lines = [line for line in dumped.splitlines() if not line.startswith("\\")]
    (into / "postgres.sql.xz").write_bytes(lzma.compress("\n".join(lines).encode(), preset=9))
    told = {"at": time.time_ns() // 1_000, "runs": runs}
    (into / "told.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
