"""Faults to plant in the product: a checker that does not find them proves nothing."""

import os
from pathlib import Path
from typing import Any

import apsw

from bailiwick.stores import blobs
from bailiwick.stores.sqlite import store
from bailiwick.stores.sqlite.connect import open_writer


def plant(name: str) -> None:
    """Break this process in one place."""
    match name:
        case "":
            return
        case "synchronous-normal":
            store.open_writer = _normal
        case "blob-not-synced":
            blobs.os = _NoFileSync()  # type: ignore[assignment]
        case "folder-not-synced":
            blobs.sync_folder = lambda folder: None
        case _:
            raise ValueError(name)


def _normal(path: Path, clock: Any) -> apsw.Connection:
    connection = open_writer(path, clock)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


class _NoFileSync:
    """`os`, but nobody syncs files; folders are synced as ever."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().is_dir():
            os.fsync(handle)
