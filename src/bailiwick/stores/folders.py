"""Folders that survive a power cut: a name is durable once the folder that holds it was synced."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone can read, with those above it; each new name is synced."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
