"""Inspecting a ledger from outside, whether or not a server is at work on it."""

from pathlib import Path

from bailiwick.ports import Checked, Inspector, Violation
from bailiwick.service import Inspecting
from bailiwick.stores import Address, DiskBlobs, inspect_postgres, open_inspector
from bailiwick.wiring.keys import DeploymentKeys
from bailiwick.wiring.trust import KEYS


async def inspect(
    folder: Path, store: str = "", shared: Path | None = None
) -> tuple[list[Checked], list[Violation]]:
    """Check every invariant of a ledger.

    Args:
        folder: The data directory, with the ledger where it is SQLite.
        store: The URL of the PostgreSQL that holds the ledger; empty: SQLite.
        shared: Where the blobs and their key lie; None: in the data directory.

    Returns:
        What was checked, and what is violated.

    Raises:
        NoLedger: The directory, or the database, holds none.
        StoreUnreachable: There is no database there now.
        KeyMissing, KeyUnusable, KeyWrong: The keys are not those of this ledger.
    """
    if store:
        async with inspect_postgres(Address(store)) as inspector:
            return await _asked(inspector, shared if shared is not None else folder)
    with open_inspector(folder) as inspector:
        return await _asked(inspector, shared if shared is not None else folder)


async def _asked(inspector: Inspector, folder: Path) -> tuple[list[Checked], list[Violation]]:
    keys = DeploymentKeys(folder / KEYS)
    keys.hold_to(await inspector.fingerprints())
    blobs = DiskBlobs(folder / "blobs", keys.blob_key)
    inspecting = Inspecting(inspector, blobs)
    violations = await inspecting.violations()
    return await inspecting.checked(), violations
