"""P17: a process that cannot tell the store's time to half a second does not start, changes nothing, and frees its data."""

from contextlib import closing
from itertools import chain, repeat
from pathlib import Path

import apsw
import pytest

from bailiwick.ports import ClockUnsure
from bailiwick.stores import Glance
from bailiwick.stores.clock import Ticks
from bailiwick.stores.sqlite.store import SqliteStore
from bailiwick.wiring import Settings, embedded

MILLISECOND = 1_000


def far_away(monkeypatch: pytest.MonkeyPatch, *milliseconds: int) -> None:
    """Let the looks at the store's clock take so long, and all that follow as long as the last."""
    took = chain(milliseconds, repeat(milliseconds[-1]))

    async def glance(self: SqliteStore, ticks: Ticks) -> Glance:
        quick = await original(self, ticks)
        micros = next(took) * MILLISECOND
        return Glance(quick.after - micros, quick.there - micros // 2, quick.after)

    original = SqliteStore.glance
    monkeypatch.setattr(SqliteStore, "glance", glance)


async def started(folder: Path) -> int:
    """Start, end, and count the events that are on record then."""
    async with embedded(Settings(data_dir=str(folder)), [], workers=0):
        pass
    return recorded(folder)


def recorded(folder: Path) -> int:
    with closing(apsw.Connection(str(folder / "ledger.db"))) as ledger:
        return len(list(ledger.execute("SELECT seq FROM events")))


@pytest.mark.parametrize("took", [1_002, 60_000])
async def test_a_process_that_may_be_half_a_second_wrong_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, took: int
) -> None:
    before = await started(tmp_path)
    with monkeypatch.context() as patched:
        far_away(patched, took)
        with pytest.raises(ClockUnsure) as refused:
            await started(tmp_path)
    assert refused.value.category == "unavailable"
    assert refused.value.facts == {"error": f"{took / 2_000:.1f} s", "allowed_seconds": 0.5}
    assert recorded(tmp_path) == before
    assert await started(tmp_path) >= before, "the data are free again"


@pytest.mark.parametrize("took", [(1_000,), (60_000, 60_000, 900, 60_000)])
async def test_one_look_that_is_quick_enough_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, took: tuple[int, ...]
) -> None:
    far_away(monkeypatch, *took)
    assert await started(tmp_path) > 0
