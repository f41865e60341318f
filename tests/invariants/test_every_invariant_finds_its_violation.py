"""Each invariant is planted a violation by direct SQL, and names it; a sound ledger has none. On both stores."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Template

import apsw
import asyncpg
import pytest

from bailiwick.audit import leaf_hash
from bailiwick.policy import build_bundle, stacked
from bailiwick.ports import Checked, Violation
from bailiwick.service import Inspecting
from bailiwick.stores import DiskBlobs, PostgresInspector
from bailiwick.wiring.compiler import run_policy_compiler
from bailiwick.wiring.inspecting import inspect
from bailiwick.wiring.keys import DeploymentKeys
from platform_kit import BOB, System, decide_seen
from postgres_kit import lent_database
from postgres_platform_kit import PostgresSystem
from shop_kit import POLICIES, Shop

SQLITE = {
    "text": "CAST(header AS TEXT)",
    "kind": "CAST(header AS TEXT) ->> '$.kind'",
    "leaf": "leaf_of(header)",
    "bytes": "CAST({} AS BLOB)",
}
POSTGRES = {
    "text": "convert_from(header, 'UTF8')",
    "kind": "convert_from(header, 'UTF8')::jsonb ->> 'kind'",
    "leaf": "sha256('\\x00'::bytea || header)",
    "bytes": "convert_to({}, 'UTF8')",
}


def header(where: str, old: str, new: str) -> tuple[str, str]:
    """Edit a header, and the leaf with it, as somebody would who knows how it is made; in each store's words."""

    def edit(words: dict[str, str]) -> str:
        changed = words["bytes"].format(f"replace($text, '{old}', '{new}')")
        script = f"UPDATE events SET header = {changed} WHERE {where}; UPDATE events SET leaf = $leaf WHERE {where};"
        return Template(script).substitute(words)

    return edit(SQLITE), edit(POSTGRES)


def both(sql: str) -> tuple[str, str]:
    return sql, sql


BLOBS = both("blobs")
FIRST = "stream = (SELECT min(stream) FROM events WHERE seq = 3)"
LAST_OF_OPEN = (
    "(stream, seq) IN (SELECT e.stream, max(e.seq) FROM events e JOIN streams s ON s.id = e.stream"
    " WHERE s.name IN (SELECT id FROM runs WHERE status = 'executing') GROUP BY e.stream)"
)
PLANTS = {
    "streams_have_no_gap": both(
        "DELETE FROM events WHERE seq = 2 AND stream = (SELECT max(stream) FROM events)"
    ),
    "events_have_streams": both(f"UPDATE events SET log = log + 7 WHERE seq = 1 AND {FIRST}"),
    "headers_name_their_place": header(f"seq = 2 AND {FIRST}", '"seq":', '"seq":1'),
    "leaves_hash_headers": (
        "UPDATE events SET leaf = zeroblob(32) WHERE pos = 3",
        f"UPDATE events SET leaf = sha256('') WHERE seq = 3 AND {FIRST}",
    ),
    "events_chain": header("seq = 2", '"prev":"', '"prev":"f'),
    "payloads_are_committed_to": (
        "UPDATE payloads SET body = CAST('{}' AS BLOB) WHERE pos = (SELECT min(pos) FROM payloads WHERE blob IS NULL)",
        "UPDATE payloads SET body = '{}' WHERE blob IS NULL",
    ),
    "payloads_are_kept": (
        "DELETE FROM payloads WHERE pos = (SELECT min(pos) FROM payloads)",
        "DELETE FROM payloads WHERE (stream, seq) = (SELECT min(stream), 1 FROM payloads WHERE seq = 1)",
    ),
    "epochs_rise": header("$kind = 'steps.moved'", '"epoch":2', '"epoch":1'),
    "runs_end_once": header("$kind = 'run.closed'", '"kind":"run.closed"', '"kind":"run.expired"'),
    "heads_follow_their_streams": both("UPDATE runs SET version = version + 1 WHERE status = 'completed'"),
    "streams_have_heads": both("DELETE FROM runs WHERE status = 'completed'"),
    "outputs_are_kept": (
        "DELETE FROM payloads WHERE pos IN (SELECT pos FROM events WHERE CAST(header AS TEXT) LIKE '%\"output\":true%')",
        (
            "DELETE FROM payloads AS p USING events AS e WHERE e.stream = p.stream AND e.seq = p.seq"
            " AND convert_from(e.header, 'UTF8') LIKE '%\"output\":true%'"
        ),
    ),
    "steps_are_owned": both("UPDATE tasks SET epoch = epoch + 1"),
    "tasks_have_steps": both(
        "INSERT INTO tasks SELECT id || 'x', tenant, run, step || 'x', call, capability, pool, priority, 'queued', 0, '', 0, 0, app, since FROM tasks"
    ),
    "waits_are_named": both("UPDATE approvals SET state = 'expired' WHERE state = 'pending'"),
    "runs_go_on": header(f"$kind = 'steps.moved' AND {LAST_OF_OPEN}", '"to":"running"', '"to":"skipped"'),
    "leases_are_live": both("UPDATE runs SET updated_at = 1; DELETE FROM sessions"),
    "grants_are_used_once": both(
        "UPDATE approvals SET digest = replace(digest, substr(digest, 1, 1), 'g') WHERE state = 'consumed'"
    ),
    "held_actions_have_grants": both("UPDATE approvals SET state = 'approved' WHERE state = 'consumed'"),
    "budgets_hold": both("UPDATE runs SET spent_micro_usd = -1"),
    "postings_add_up": both("UPDATE postings SET cost_micro_usd = cost_micro_usd + 1"),
    "rows_have_runs": both("UPDATE postings SET tenant = 'evil'"),
    "streams_keep_their_tenant": both(
        "UPDATE streams SET tenant = 'evil' WHERE id = (SELECT min(id) FROM streams)"
    ),
    "the_feed_has_no_gap": (
        "UPDATE events SET pos = pos + 1 WHERE pos = (SELECT max(pos) FROM events)",
        "UPDATE places SET position = position + 1 WHERE position = (SELECT max(position) FROM places)",
    ),
    "the_feed_keeps_streams_in_order": (
        f"UPDATE events SET pos = -pos WHERE seq = 2 AND {FIRST}",
        f"UPDATE places SET position = -position WHERE seq = 2 AND {FIRST}",
    ),
    "leaves_have_no_gap": both("UPDATE logs SET size = size + 1"),
    "leaves_follow_the_feed": (
        "UPDATE leaves SET pos = -pos WHERE idx = 2",
        "UPDATE leaves SET position = -position WHERE idx = 2",
    ),
    "leaves_cover_the_feed": both("DELETE FROM leaves WHERE idx = 3"),
    "heads_fold_from_the_log": both("UPDATE runs SET title = 'Another' WHERE status = 'completed'"),
    "dispatches_were_paid_for": header("$kind = 'run.created'", '"allotment":', '"allotment":-'),
    "outputs_have_their_digest": header(
        "$text LIKE '%\"output\":true%'", '"output_digest":"', '"output_digest":"f'
    ),
    "workspaces_follow_their_line": header("$text LIKE '%\"base\":%'", '"base":"', '"base":"f'),
    "plans_are_kept": BLOBS,
    "large_payloads_are_kept": BLOBS,
}
OF_POSTGRES = {
    "the_feed_passes_nothing_over": "DELETE FROM places WHERE position = (SELECT max(position) FROM places)"
}
"""In SQLite an event's number is its position, so nothing can be passed over."""


async def furnish(system: System) -> None:
    """Runs of several kinds: completed, held, in hand, waiting for a retry; a large payload; a signed log."""
    await system.open()
    hand = await system.hand()
    await system.submit(key="first")
    await hand.claim()
    await hand.call("quote")
    for path in ("one", "two"):
        edited = {"capability": "files.write", "arguments": {"path": path, "text": path}}
        await hand.call("files.write:", **edited)
    await hand.act("pay")
    await decide_seen(system.platform, BOB, (await system.approval(hand.assignment.run)).id, approve=True)
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


class Ledger:
    """A furnished ledger: its folder, and the URL of its database unless it is SQLite."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.url = url

    @property
    def plants(self) -> dict[str, str]:
        if self.url:
            return {name: pair[1] for name, pair in PLANTS.items()} | OF_POSTGRES
        return {name: pair[0] for name, pair in PLANTS.items()}

    def look(self) -> tuple[list[Checked], list[Violation]]:
        return asyncio.run(inspect(self.folder, self.url))

    def look_after(self, sql: str) -> list[Violation]:
        """Plant a violation and look; in a database within one transaction that is never committed."""
        if sql == "blobs":
            for blob in (self.folder / "blobs").rglob("*"):
                if blob.is_file():
                    blob.write_bytes(b"another")
            return self.look()[1]
        if self.url:
            return asyncio.run(self._look_within(sql))
        connection = apsw.Connection(str(self.folder / "ledger.db"))
        connection.create_scalar_function("leaf_of", leaf_hash, 1)
        before = connection.total_changes()
        connection.execute(sql)
        assert connection.total_changes() > before, "the plant changed nothing"
        connection.close()
        return self.look()[1]

    async def _look_within(self, sql: str) -> list[Violation]:
        blobs = DiskBlobs(self.folder / "blobs", DeploymentKeys(self.folder / "keys").blob_key)
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            done = [await connection.execute(statement) for statement in sql.rstrip("; ").split(";")]
            assert any(not tag.endswith(" 0") for tag in done), "the plant changed nothing"
            return await Inspecting(PostgresInspector(connection), blobs).violations()
        finally:
            await connection.close()  # and with it the transaction


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def furnished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder = tmp_path_factory.mktemp("furnished")
    bundle = build_bundle(stacked(POLICIES), run_policy_compiler)
    shop = Shop()
    shop.workflow()
    shop.workflow(
        {"id": "a", "uses": "clerk", "input": {}}, {"id": "b", "uses": "other", "input": {}}, name="two"
    )
    with contextlib.ExitStack() as opened:
        url = opened.enter_context(lent_database()) if request.param == "postgres" else ""
        system = PostgresSystem(url, folder, bundle, shop) if url else System(folder, bundle, shop)
        asyncio.run(furnish(system))
        shutil.copytree(folder / "keys", folder / "data" / "keys")
        yield Ledger(folder / "data", url)


@pytest.fixture
def ledger(furnished: Ledger, tmp_path: Path) -> Ledger:
    return Ledger(shutil.copytree(furnished.folder, tmp_path / "data"), furnished.url)


def test_a_sound_ledger_has_no_violation_and_says_what_was_checked(furnished: Ledger) -> None:
    checked, violations = furnished.look()
    assert violations == []
    assert len(checked) == len(furnished.plants) == (35 if furnished.url else 34)
    assert {each.invariant for each in checked if each.count == 0} == set()


@pytest.mark.parametrize("invariant", PLANTS)
def test_a_planted_violation_is_named(ledger: Ledger, invariant: str) -> None:
    named = [each for each in ledger.look_after(ledger.plants[invariant]) if each.invariant == invariant]
    assert named
    assert all(violation.id and violation.detail for violation in named)


def test_every_invariant_has_its_plant(furnished: Ledger) -> None:
    assert {each.invariant for each in furnished.look()[0]} == set(furnished.plants)


def test_what_one_store_alone_can_violate_is_named_too(ledger: Ledger) -> None:
    for invariant in set(ledger.plants) - set(PLANTS):
        assert invariant in {each.invariant for each in ledger.look_after(ledger.plants[invariant])}
    assert bool(set(ledger.plants) - set(PLANTS)) == bool(ledger.url)
