"""Large payloads: what does not commit in the database is a synced blob before its unit, and goes after its erasure."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from bailiwick.base import Digest, digest_of
from bailiwick.ports import Blobs, Draft, Unit
from bailiwick.stores.refusals import BlobDamaged
from bailiwick.stores.sealing import owner_of

INLINE_BYTES: Final = 16_384
"""A payload up to this size commits in the database; a larger one is a blob, synced before."""


class LargePayloads:
    """Stores and removes the blobs of payloads; one for each process, so that neither undoes the other.

    Processes that share the folder see of each other only what is committed. So who removes looks again afterwards,
    and who commits looks whether the blob is still there: whatever their order, one of them puts it back.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._held: Counter[tuple[str, Digest]] = Counter()
        self._stored = 0

    @asynccontextmanager
    async def stored(self, unit: Unit) -> AsyncIterator[tuple[Digest | None, ...]]:
        """Store the large payloads of a unit, and keep them while it is being committed.

        Yields:
            Their names in draft order, None for each that is inline or not there.
        """
        if not holds_large(unit):
            yield ()
            return
        owned = [(unit.tenant, draft) for draft in unit.drafts]
        owned += [(owner_of(unit, name), draft) for name, draft in unit.others]
        bodies = [(tenant, draft.payload) for tenant, draft in owned if _is_large(draft)]
        names = [(tenant, digest_of(body)) for tenant, body in bodies if body is not None]
        self._held.update(names)
        self._stored += 1
        try:
            yield tuple([await self._put(tenant, draft) for tenant, draft in owned])
            for tenant, draft in owned:
                if draft.payload is not None and _is_large(draft):
                    await self._still(tenant, draft.payload)
        finally:
            self._held.subtract(names)
            self._held += Counter()  # drops what nobody holds

    async def _put(self, tenant: str, draft: Draft) -> Digest | None:
        if draft.payload is None or not _is_large(draft):
            return None
        return await self._blobs.put(tenant, draft.payload)

    async def _still(self, tenant: str, body: bytes) -> None:
        if not await self._blobs.has(tenant, digest_of(body)):
            await self._blobs.put(tenant, body)

    async def remove(self, tenant: str, digest: Digest, is_named: Callable[[], Awaitable[bool]]) -> bool:
        """Remove a blob that no payload lies in any more.

        Args:
            tenant: Whose it is.
            digest: Its name.
            is_named: Asks the tables whether a payload lies in it.

        Returns:
            Whether that is settled: it is gone, or is needed. If not, a unit that may need it is on its way.
        """
        body = await self._read(tenant, digest)
        before = self._stored
        if self._held[tenant, digest]:
            return False
        if await is_named():
            return True
        if self._stored != before:
            return False  # somebody found the blob there and counts on it
        await self._blobs.remove(tenant, digest)
        if body is not None and await is_named():
            await self._blobs.put(tenant, body)
        return True

    async def _read(self, tenant: str, digest: Digest) -> bytes | None:
        try:
            return await self._blobs.get(tenant, digest)
        except BlobDamaged:
            return None  # there is nothing to put back


def holds_large(unit: Unit) -> bool:
    """Whether anything of a unit goes into a blob before it is committed; of most there is nothing."""
    for draft in unit.drafts:
        if _is_large(draft):
            return True
    return any(_is_large(draft) for _, draft in unit.others)


def _is_large(draft: Draft) -> bool:
    return draft.payload is not None and len(draft.payload) > INLINE_BYTES
