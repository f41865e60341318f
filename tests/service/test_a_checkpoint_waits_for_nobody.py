"""A checkpoint covers all that was committed when it was asked for, however many go on writing."""

from typing import Any

from bailiwick.service.proof.sequencing import Sequencing
from platform_kit import ROOT, System, soon


class Busy:
    """A feed on which others have written again whenever it is asked to place."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._feed = system.store.feed
        self.written = 0

    async def place(self, limit: int) -> int:
        self.written += 1
        await self._system.submit()
        return await self._feed.place(limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)


async def test_a_checkpoint_is_not_put_off_by_those_who_go_on_writing(system: System) -> None:
    before = await system.events(await system.submit())
    feed = Busy(system)
    sequencing = Sequencing(audit=system.store.audit, feed=feed, signer=system.platform.sequencing.signer)
    head = await soon(sequencing.checkpoint(ROOT))
    assert head.size >= len(before)
    assert feed.written == 1
