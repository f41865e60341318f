"""Storage: how many bytes a tenant keeps as artifacts, and what stands still while it keeps more than it may."""

import asyncio

from bailiwick.ports import Blobs
from bailiwick.service.core.limits import BytesLimit, LimitBook


class Storage:
    """Holds tenants to their limit of stored bytes; of a tenant without one nothing is counted.

    What is over the limit takes nothing away: no run begins, and a step is blocked before its next tool call. What is
    on its way is kept, so a tenant may end up beyond its limit by what its calls of that moment store.
    """

    def __init__(self, *, blobs: Blobs, limits: LimitBook) -> None:
        self._blobs = blobs
        self._limits = limits
        self._counting: dict[str, asyncio.Lock] = {}

    async def fault(self, tenant: str) -> BytesLimit | None:
        """Say that a tenant stores as much as it may; None while it does not."""
        most = self._limits.of(tenant).bytes
        if not most:
            return None
        stored = self._blobs.stored(tenant)
        if stored is None:
            async with self._counting.setdefault(tenant, asyncio.Lock()):
                stored = self._blobs.stored(tenant)
                if stored is None:
                    stored = await self._blobs.count(tenant)
        return BytesLimit(stored, most) if stored >= most else None

    async def count(self) -> int:
        """Count anew what every tenant stores that was asked about: other processes store and remove too."""
        for tenant in list(self._counting):
            await self._blobs.count(tenant)
        return 0
