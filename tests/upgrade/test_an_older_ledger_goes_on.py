"""A data directory and a PostgreSQL of an earlier release open, go on where they stood, and verify."""

from upgrade_kit import Kept, help_on, work_off

from bailiwick.audit import verify_export
from bailiwick.run import Status, StepStatus
from platform_kit import ALICE, ROOT

ENDS = {"an_undo_by_hand": Status.ROLLED_BACK, "an_undo_that_broke": Status.ROLLED_BACK}


async def test_every_run_of_an_older_ledger_is_read_and_its_log_verifies(kept: Kept) -> None:
    for story, id in kept.runs.items():
        assert (await kept.system.refolded(id)).id == id, story
        assert await kept.system.events(id)
        assert (await kept.system.platform.reading.head(ALICE, id)).id == id
    report = verify_export(await kept.system.platform.sequencing.export(ROOT))
    assert report.ok, report.findings


async def test_every_run_of_an_older_ledger_comes_to_its_end_by_the_act_that_it_asks_for(kept: Kept) -> None:
    await help_on(kept)
    await work_off(kept)
    for story, id in kept.runs.items():
        run = await kept.system.refolded(id)
        assert run.status is ENDS.get(story, Status.COMPLETED), (story, run.status)
    assert kept.shop.outside.count("pay") == 2, "each was approved once"
    assert kept.shop.outside.calls.count(("write", "again")) == 1, "what was on its way arrived under its key"
    assert kept.shop.outside.count("mail") == 0, (
        "what had been done, and what a person resolved, was not repeated"
    )


async def test_what_an_older_ledger_tells_of_a_state_is_understood(kept: Kept) -> None:
    blocked = {
        story for story, id in kept.runs.items() if (await kept.system.refolded(id)).status is Status.BLOCKED
    }
    assert blocked == {
        "out_of_money",
        "halted",
        "without_progress",
        "at_a_limit",
        "asked",
        "divergent",
        "an_undo_by_hand",
        "an_undo_that_broke",
        "unknown",
    }
    retried = await kept.system.refolded(kept.runs["a_retry_waits"])
    assert retried.steps["a"].status is StepStatus.WAITING


async def test_the_log_of_an_older_ledger_is_extended_and_still_verifies(kept: Kept) -> None:
    await help_on(kept)
    await work_off(kept)
    sequencing = kept.system.platform.sequencing
    while await sequencing.place() or await sequencing.integrate():
        pass
    report = verify_export(await sequencing.export(ROOT))
    assert report.ok, report.findings
