"""Blobs: immutable content named by its digest, one space per tenant."""

from typing import Protocol

from bailiwick.base import Category, Digest, Refusal


class StoreUnavailable(Refusal, category=Category.UNAVAILABLE):
    """What was to be kept cannot be kept now; nothing is wrong with it, and it may be handed in again.

    Whoever has something that must be recorded waits for as long as this is the answer: it is nobody's failure.
    """


class Blobs(Protocol):
    """Keeps artifacts. What `put` has returned survives a power cut."""

    @property
    def trouble(self) -> str:
        """Why nothing can be stored, as far as was seen last; empty while it can."""
        ...

    async def probe(self) -> str:
        """See whether something can be stored now, also if nobody has stored anything lately; answer why not."""
        ...

    async def put(self, tenant: str, body: bytes) -> Digest:
        """Store and sync a blob, then name it; storing it again is free.

        Raises:
            StoreUnavailable: It cannot be stored now.
        """
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

    def stored(self, tenant: str) -> int | None:
        """Tell how many bytes of a tenant are stored: as last counted, with what was put and removed here since.

        None: nobody has counted them yet.
        """
        ...

    async def count(self, tenant: str) -> int:
        """Count how many bytes of a tenant are stored, now."""
        ...


class Trees(Protocol):
    """Reads workspaces; the tool host writes them."""

    async def files(self, tenant: str, tree: Digest) -> dict[str, bytes]:
        """Read all files of a tree, by path."""
        ...
