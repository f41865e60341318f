"""Large payloads: what does not commit in the database is a synced blob before its unit is committed."""

from typing import Final

from bailiwick.base import Digest
from bailiwick.ports import Blobs, Draft, Unit
from bailiwick.stores.sealing import owner_of

INLINE_BYTES: Final = 16_384
"""A payload up to this size commits in the database; a larger one is a blob, synced before."""


async def store_large(unit: Unit, blobs: Blobs) -> tuple[Digest | None, ...]:
    """Store the large payloads of a unit; name them in draft order, None for each that is inline or not there."""
    owned = [(unit.tenant, draft) for draft in unit.drafts]
    owned += [(owner_of(unit, name), draft) for name, draft in unit.others]
    if not any(_is_large(draft) for _, draft in owned):
        return ()
    return tuple(
        [
            await blobs.put(tenant, draft.payload) if draft.payload is not None and _is_large(draft) else None
            for tenant, draft in owned
        ]
    )


def _is_large(draft: Draft) -> bool:
    return draft.payload is not None and len(draft.payload) > INLINE_BYTES
