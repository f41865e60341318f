"""An earlier release's ledger, laid out as it was left, and the acts that help each of its runs on."""

import json
import lzma
import tarfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from upgrade_stories import the_shop

from bailiwick.policy import Bundle
from platform_kit import ALICE, BOB, ROOT, Hand, System
from postgres_kit import cluster
from postgres_platform_kit import PostgresSystem
from saga_kit import Depot
from shop_kit import Shop
from store_choice import POSTGRES

KEPT = Path(__file__).parent / "kept"


class Kept(NamedTuple):
    """An earlier release's ledger, opened: the run of each of its stories, and the world outside."""

    system: System
    shop: Shop
    depot: Depot
    runs: dict[str, str]


async def laid_out(release: str, store: str, folder: Path, bundle: Bundle) -> Kept:
    """Lay out what lay on disk and in the database, and open it at the instant at which it was left."""
    told: dict[str, Any] = json.loads((KEPT / release / "told.json").read_text())
    with tarfile.open(KEPT / release / f"{store}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    shop, depot = the_shop()
    system = System(folder, bundle, shop)
    if store == POSTGRES:
        system = PostgresSystem(_restored(release), folder, bundle, shop)
    system.clock.advance((told["at"] - time.time_ns() // 1_000) / 1_000_000)
    await system.open()
    return Kept(system, shop, depot, told["runs"][store])


def _restored(release: str) -> str:
    """Make a database of what `pg_dump` wrote; answers its URL."""
    name = f"kept_{time.monotonic_ns()}"
    cluster().sql(f"CREATE DATABASE {name} TEMPLATE template0", "postgres")
    url = cluster().url(name)
    cluster().sql(lzma.decompress((KEPT / release / "postgres.sql.xz").read_bytes()).decode(), url)
    return url


async def help_on(kept: Kept) -> None:
    """Do for each run what its state asks of people."""
    platform, runs = kept.system.platform, kept.runs
    for story in ("held", "held_for_a_twin"):
        (request,) = await platform.approving.list(BOB, run=runs[story])
        await platform.approving.decide(BOB, request.id, approve=True, digest=request.digest)
    await platform.control.resume(ALICE, runs["out_of_money"], add_micro_usd=5_000)
    for halt in platform.halts.list(ROOT.tenant):
        await platform.halts.lift(ROOT, halt.id)
    await platform.lifting.catch_up()
    for story in ("without_progress", "at_a_limit", "asked", "divergent"):
        await platform.control.resume(ALICE, runs[story])
    await platform.control.resolve(ALICE, runs["an_undo_by_hand"], "mail~undo", done=True, reason="told them")
    kept.depot.things.update(a=1, b=1)
    await platform.control.resume(ALICE, runs["an_undo_that_broke"])
    run = await kept.system.run(runs["unknown"])
    (call,) = run.calls.values()
    await platform.control.resolve(ALICE, run.id, call.key, done=True, output={"said": "x"})
    kept.system.clock.advance(60)
    while await platform.recovering.reap():
        pass


async def work_off(kept: Kept) -> None:
    """Do whatever is due, as a worker would whose agents have nothing more to ask than what was on its way."""
    hand = await kept.system.hand()
    while await hand.claim() is not None:
        busy = True
        while busy:
            busy = await _finish(kept, hand)


async def _finish(kept: Kept, hand: Hand) -> bool:
    at = hand.assignment
    if at.dispatch is not None:
        await hand.port.settle(hand.session, await hand.execute(at.dispatch))
        return False
    if at.run == kept.runs["in_hand"]:
        await hand.call("write", "again")
    return await hand.finish({}) is not None
