"""Whoever writes to the database without the signing key does not get the server to sign over it (P16).

The log is named as broken, its tenant is read-only, others go on, and only a named act on the host lets it go on.
"""

import msgspec
import pytest
from forging_kit import FORGERIES, LOG, Forgery, Writer, the_tail_rewritten_with_its_tree

from bailiwick.audit import Fault, LogBroken, verify_export
from bailiwick.base import Refusal
from bailiwick.policy import Principal, Role
from bailiwick.service import IntentRequest
from bailiwick.service.core.refusals import NotFound
from bailiwick.wiring import Embedded, embedded
from bailiwick.wiring.accepting import NotBroken, accept_break
from figures import tell
from keys_kit import ADMIN, Deployment, deployment, done_run, greeting

__all__ = ["deployment"]

STRANGER = msgspec.structs.replace(ADMIN, tenant="abroad")


async def begun(deployment: Deployment) -> Writer:
    """Let a tenant and another one work, and end."""
    await deployment.begin()
    async with embedded(deployment.settings, [greeting()]) as system:
        await system.platform.keyring.issue("abroad", name="s", role=Role.ADMIN, groups=(), by="test")
        await done_run(system, STRANGER)
        await system.platform.sequencing.checkpoint(ADMIN)
        await system.platform.sequencing.checkpoint(STRANGER)
    return Writer(deployment)


async def refused(system: Embedded, principal: Principal = ADMIN) -> LogBroken:
    request = IntentRequest(app="greet", workflow="greet", input={"text": "x"})
    with pytest.raises(LogBroken) as caught:
        await system.platform.submitting.submit(principal, request)
    assert f"audit accept-break {caught.value.facts['log']}" in caught.value.remedy
    return caught.value


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_what_was_edited_while_it_was_down_is_found_at_the_start(
    deployment: Deployment, forge: Forgery
) -> None:
    writer = await begun(deployment)
    event = forge(writer)
    async with embedded(deployment.settings, [greeting()]) as system:
        assert (await refused(system)).facts["event"] in (event, "")
        before = await system.store.audit.head(LOG)
        with pytest.raises(LogBroken):
            await system.platform.sequencing.checkpoint(ADMIN)
        files = await system.platform.sequencing.export(ADMIN)
        assert await system.store.audit.head(LOG) == before, "nothing was signed"
        report = verify_export(files, trusted=[deployment.vkey])
        if event and "moved" not in forge.__name__:
            assert event in {finding.event for finding in report.findings}, report.findings
        await done_run(system, STRANGER)  # others go on
        stranger = verify_export(await system.platform.sequencing.export(STRANGER), trusted=[deployment.vkey])
        assert stranger.ok, stranger.findings
    tell("1 forgery while it was down: found, 0 signed over")


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_what_is_edited_while_it_runs_is_found_before_more_is_signed(
    deployment: Deployment, forge: Forgery
) -> None:
    writer = await begun(deployment)
    async with embedded(deployment.settings, [greeting()]) as system:
        platform = system.platform
        forge(writer)
        for _ in range(20):
            await platform.sequencing.scrutiny.look()
        broken = platform.breaks.of(LOG)
        assert broken is not None
        assert str(broken.facts["reason"])
        await refused(system)
        shown, _ = await system.metrics.exposition(openmetrics=False)
        assert b"bailiwick_broken_logs 1.0" in shown
        await done_run(system, STRANGER)
        assert await platform.sequencing.export(ADMIN)


async def test_a_log_set_back_to_an_older_head_of_its_own_is_broken(deployment: Deployment) -> None:
    """The older head is genuine; that there was a newer one lies beside the keys."""
    writer = await begun(deployment)
    older, size = writer.head(), len(writer.leaves())
    await deployment.look()
    async with embedded(deployment.settings, [greeting()]) as system:
        await done_run(system)
        await system.platform.sequencing.checkpoint(ADMIN)
    writer.cut(size)
    writer.set_head(older)
    async with embedded(deployment.settings, [greeting()]) as system:
        broken = await refused(system)
        assert "were signed" in broken.message


async def test_a_broken_log_goes_on_by_a_named_act_alone(deployment: Deployment) -> None:
    writer = await begun(deployment)
    with pytest.raises(NotBroken):
        await accept_break(deployment.settings, LOG, "nothing is wrong")
    witnessed = []
    async with embedded(deployment.settings, [greeting()]) as system:
        witnessed.append((await system.platform.sequencing.checkpoint(ADMIN)).note)
    the_tail_rewritten_with_its_tree(writer)
    for _ in range(2):
        async with embedded(deployment.settings, [greeting()]) as system:
            await refused(system)
            detail = await system.platform.reading.detail(ADMIN, deployment.run)
            assert "read-only" in detail.broken
    done = await accept_break(deployment.settings, LOG, "ticket 12: restored by hand")
    assert done.size > 0
    async with embedded(deployment.settings, [greeting()]) as system:
        assert (await system.platform.reading.detail(ADMIN, deployment.run)).broken == ""
        await done_run(system)
        files = await system.platform.sequencing.export(ADMIN)
    assert b"ticket 12: restored by hand" in files["entries.jsonl"]
    assert verify_export(files, trusted=[deployment.vkey]).ok
    report = verify_export(files, trusted=[deployment.vkey], witnessed=witnessed)
    assert {finding.code for finding in report.findings} == {Fault.HISTORY_REWRITTEN}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_every_break_can_be_accepted(deployment: Deployment, forge: Forgery) -> None:
    writer = await begun(deployment)
    forge(writer)
    await accept_break(deployment.settings, LOG, "seen")
    async with embedded(deployment.settings, [greeting()]) as system:
        await done_run(system)
        for _ in range(5):
            await system.platform.sequencing.scrutiny.look()
        assert system.platform.breaks.of(LOG) is None
        assert await system.platform.sequencing.checkpoint(ADMIN)


async def test_a_broken_platform_log_makes_everybody_read_only(deployment: Deployment) -> None:
    writer = await begun(deployment)
    writer.sql("UPDATE logs SET note = 'nonsense' WHERE name = 'platform'")
    if writer.sql("SELECT count(*) FROM logs WHERE name = 'platform'")[0][0] == "0":
        pytest.fail("the platform has no log")
    async with embedded(deployment.settings, [greeting()]) as system:
        assert (await refused(system)).facts["log"] == "platform"
        assert (await refused(system, STRANGER)).facts["log"] == "platform"


async def test_a_run_that_was_moved_to_another_tenant_is_served_to_nobody_there(
    deployment: Deployment,
) -> None:
    writer = await begun(deployment)
    run = writer.run
    async with embedded(deployment.settings, [greeting()]) as system:
        reading = system.platform.reading
        assert await reading.events(ADMIN, run)
        for table, column in (("streams", "name"), ("runs", "id"), ("postings", "run"), ("approvals", "run")):
            writer.sql(f"UPDATE {table} SET tenant = 'abroad' WHERE {column} = '{run}'")
        ledger = system.store.ledger
        assert run not in [head.id for head in await reading.runs(STRANGER)]
        for ask in (
            reading.head(STRANGER, run),
            reading.detail(STRANGER, run),
            reading.cost(STRANGER, run),
            reading.output(STRANGER, run, "work"),
            reading.events(STRANGER, run),
            reading.event(STRANGER, run, 1),
            reading.event(STRANGER, run, 2),
            system.platform.transcribing.transcript(STRANGER, run, "x"),
        ):
            with pytest.raises(NotFound):
                await ask
        assert await ledger.events("abroad", run, 0, 99) == []
        assert await ledger.events("abroad", run, 1, 99) == []
        assert await ledger.payloads("abroad", run, [1, 2, 3]) == {}
        assert not await ledger.owns("abroad", run)


async def test_an_event_that_was_moved_into_another_stream_is_damaged_there(deployment: Deployment) -> None:
    writer = await begun(deployment)
    async with embedded(deployment.settings, [greeting()]) as system:
        other = await done_run(system)
    first = f"(SELECT id FROM streams WHERE name = '{other}')"
    for table in ("events", "places") if deployment.store else ("events",):
        writer.sql(
            f"UPDATE {table} SET seq = seq + 100, stream = {writer.stream} WHERE stream = {first} AND seq = 2"
        )
    async with embedded(deployment.settings, [greeting()]) as system:
        with pytest.raises(Refusal, match=rf"{writer.run}\.102"):
            await system.store.ledger.events("default", writer.run, 100, 9)
