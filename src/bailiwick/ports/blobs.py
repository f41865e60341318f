"""Blobs: immutable content named by its digest, one space per tenant."""

from typing import Protocol

from bailiwick.base import Digest


class Blobs(Protocol):
    """Keeps artifacts. What `put` has returned survives a power cut."""

    async def put(self, tenant: str, body: bytes) -> Digest:
        """Store and sync a blob, then name it; storing it again is free."""
        ...

    async def get(self, tenant: str, digest: Digest) -> bytes | None:
        """Read a blob and check it against its name; None when this tenant has none of that name.

        Raises:
            BlobDamaged: The bytes no longer match the name.
        """
        ...

    async def has(self, tenant: str, digest: Digest) -> bool:
        """Say whether the blob is stored."""
        ...

    async def remove(self, tenant: str, digest: Digest) -> None:
        """Remove a blob and sync that; one that is not there is removed already."""
        ...


class Trees(Protocol):
    """Reads workspaces; the tool host writes them."""

    async def files(self, tenant: str, tree: Digest) -> dict[str, bytes]:
        """Read all files of a tree, by path."""
        ...
