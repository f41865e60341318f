"""Inspecting a data directory from outside, whether or not a server is at work on it."""

from pathlib import Path

from bailiwick.ports import Checked, Violation
from bailiwick.service import Inspecting
from bailiwick.stores import DiskBlobs, open_inspector
from bailiwick.wiring.keys import DeploymentKeys


async def inspect(folder: Path) -> tuple[list[Checked], list[Violation]]:
    """Check every invariant of the ledger in a data directory.

    Returns:
        What was checked, and what is violated.

    Raises:
        NoLedger: The directory holds none.
    """
    with open_inspector(folder) as inspector:
        blobs = DiskBlobs(folder / "blobs", DeploymentKeys(folder / "keys").blob_key)
        inspecting = Inspecting(inspector, blobs)
        violations = await inspecting.violations()
        return await inspecting.checked(), violations
