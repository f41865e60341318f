"""Each invariant is planted a violation by direct SQL, and names it; a sound ledger has none."""

import asyncio
import shutil
from pathlib import Path

import apsw
import pytest

from bailiwick.audit import leaf_hash
from bailiwick.policy import build_bundle, stacked
from bailiwick.ports import Checked, Violation
from bailiwick.wiring.compiler import run_policy_compiler
from bailiwick.wiring.inspecting import inspect
from platform_kit import BOB, System
from shop_kit import POLICIES, Shop

OPEN = "SELECT id FROM runs WHERE status = 'executing'"
POS_OF_OPEN = f"(SELECT max(e.pos) FROM events e JOIN streams s ON s.id = e.stream WHERE s.name IN ({OPEN}))"


def header(where: str, old: str, new: str) -> str:
    """Edit a header, and the leaf with it, as somebody would who knows how it is made."""
    return (
        f"UPDATE events SET header = CAST(replace(CAST(header AS TEXT), '{old}', '{new}') AS BLOB) WHERE {where};"
        f"UPDATE events SET leaf = leaf_of(header) WHERE {where};"
    )


KIND = "CAST(header AS TEXT) ->> '$.kind'"
CALL = "CAST(header AS TEXT) ->> '$.call.state'"
PLANTS = {
    "streams_have_no_gap": "DELETE FROM events WHERE seq = 2 AND stream = (SELECT max(stream) FROM events)",
    "events_have_streams": "UPDATE events SET log = log + 7 WHERE pos = 1",
    "headers_name_their_place": header("pos = 2", '"seq":', '"seq":1'),
    "leaves_hash_headers": "UPDATE events SET leaf = zeroblob(32) WHERE pos = 3",
    "events_chain": header("seq = 2", '"prev":"', '"prev":"f'),
    "payloads_are_committed_to": "UPDATE payloads SET body = CAST('{}' AS BLOB) WHERE pos = (SELECT min(pos) FROM payloads)",
    "payloads_are_kept": "DELETE FROM payloads WHERE pos = (SELECT min(pos) FROM payloads)",
    "epochs_rise": header(f"{KIND} = 'steps.moved'", '"epoch":2', '"epoch":1'),
    "runs_end_once": header(f"{KIND} = 'run.closed'", '"kind":"run.closed"', '"kind":"run.expired"'),
    "heads_follow_their_streams": "UPDATE runs SET version = version + 1 WHERE status = 'completed'",
    "streams_have_heads": "DELETE FROM runs WHERE status = 'completed'",
    "outputs_are_kept": "DELETE FROM payloads WHERE pos IN (SELECT pos FROM events WHERE CAST(header AS TEXT) LIKE '%\"output\":true%')",
    "steps_are_owned": "UPDATE tasks SET epoch = epoch + 1",
    "tasks_have_steps": "INSERT INTO tasks SELECT id || 'x', tenant, run, step || 'x', call, capability, pool, priority, 'queued', 0, '', 0, 0 FROM tasks",
    "waits_are_named": "UPDATE approvals SET state = 'expired' WHERE state = 'pending'",
    "runs_go_on": header(
        f"{KIND} = 'steps.moved' AND pos = {POS_OF_OPEN}", '"to":"running"', '"to":"skipped"'
    ),
    "leases_are_live": "UPDATE runs SET updated_at = 1; DELETE FROM sessions",
    "grants_are_used_once": "UPDATE approvals SET digest = replace(digest, substr(digest, 1, 1), 'g') WHERE state = 'consumed'",
    "held_actions_have_grants": "UPDATE approvals SET state = 'approved' WHERE state = 'consumed'",
    "budgets_hold": "UPDATE runs SET spent_micro_usd = -1",
    "postings_add_up": "UPDATE postings SET cost_micro_usd = cost_micro_usd + 1",
    "rows_have_runs": "UPDATE postings SET tenant = 'evil'",
    "streams_keep_their_tenant": "UPDATE streams SET tenant = 'evil' WHERE id = 1",
    "the_feed_has_no_gap": "UPDATE events SET pos = pos + 1 WHERE pos = (SELECT max(pos) FROM events)",
    "leaves_have_no_gap": "UPDATE logs SET size = size + 1",
    "leaves_follow_the_feed": "UPDATE leaves SET pos = -pos WHERE idx = 2",
    "leaves_cover_the_feed": "DELETE FROM leaves WHERE idx = 3",
    "heads_fold_from_the_log": "UPDATE runs SET title = 'Another' WHERE status = 'completed'",
    "dispatches_were_paid_for": header(f"{KIND} = 'run.created'", '"allotment":', '"allotment":-'),
    "outputs_have_their_digest": header(
        "CAST(header AS TEXT) LIKE '%\"output\":true%'", '"output_digest":"', '"output_digest":"f'
    ),
    "plans_are_kept": "blobs",
    "large_payloads_are_kept": "blobs",
}


async def furnish(folder: Path) -> None:
    """Runs of several kinds: completed, held, in hand, waiting for a retry; a large payload; a signed log."""
    shop = Shop()
    shop.workflow()
    shop.workflow(
        {"id": "a", "uses": "clerk", "input": {}}, {"id": "b", "uses": "other", "input": {}}, name="two"
    )
    system = System(folder, build_bundle(stacked(POLICIES), run_policy_compiler), shop)
    await system.open()
    hand = await system.hand()
    await system.submit(key="first")
    await hand.claim()
    await hand.call("quote")
    await hand.act("pay")
    await system.platform.approving.decide(BOB, (await system.approval(hand.assignment.run)).id, approve=True)
    granted = await hand.claim()
    assert granted is not None
    assert granted.dispatch is not None
    await hand.port.settle(hand.session, await hand.execute(granted.dispatch))
    await hand.claim()
    await hand.finish({"text": "x" * 20_000})
    await system.submit()
    await hand.claim()
    await hand.act("pay")
    await system.submit("two")
    await hand.claim()
    await hand.finish({})
    await system.platform.sequencing.catch_up()
    assert await system.violations() == []
    await system.close()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    asyncio.run(furnish(folder))
    shutil.copytree(folder / "keys", folder / "data" / "keys")
    return folder / "data"


@pytest.fixture
def ledger(furnished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(furnished, tmp_path / "data")


def looked(folder: Path) -> tuple[list[Checked], list[Violation]]:
    return asyncio.run(inspect(folder))


def plant(folder: Path, sql: str) -> None:
    if sql == "blobs":
        for blob in (folder / "blobs").rglob("*"):
            if blob.is_file():
                blob.write_bytes(b"another")
        return
    connection = apsw.Connection(str(folder / "ledger.db"))
    connection.create_scalar_function("leaf_of", leaf_hash, 1)
    before = connection.total_changes()
    connection.execute(sql)
    assert connection.total_changes() > before, "the plant changed nothing"
    connection.close()


def test_a_sound_ledger_has_no_violation_and_says_what_was_checked(furnished: Path) -> None:
    checked, violations = looked(furnished)
    assert violations == []
    assert len(checked) == len(PLANTS) == 32
    assert {each.invariant for each in checked if each.count == 0} == set()


@pytest.mark.parametrize("invariant", PLANTS)
def test_a_planted_violation_is_named(ledger: Path, invariant: str) -> None:
    plant(ledger, PLANTS[invariant])
    named = [violation for violation in looked(ledger)[1] if violation.invariant == invariant]
    assert named
    assert all(violation.id and violation.detail for violation in named)


def test_every_invariant_has_its_plant(furnished: Path) -> None:
    assert {each.invariant for each in looked(furnished)[0]} == set(PLANTS)
