"""What a run records is in the order of its instants, whoever's clock was read; older logs, which are not, still decide again."""

from msgspec.structs import replace
from run_kit import PLANS, SECOND, WRITE, Stage

from bailiwick.base import Instant
from bailiwick.contract import EffectClass
from bailiwick.run import Claim, decided_again

HOUR = 3600 * SECOND


def test_a_process_that_is_behind_records_what_it_does_no_earlier_than_what_was_done() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    before = stage.run.updated_at
    stage.at = Instant(before - HOUR)
    key = stage.dispatch("a", EffectClass.EXTERNAL_ACTION)
    stage.settle(key)
    stage.succeed("a")
    assert {event.at for event in stage.events[1:]} == {before}  # type: ignore[union-attr]
    assert stage.run.updated_at == stage.step("a").since == before


def test_a_write_of_a_process_that_is_behind_is_waited_for_as_long_as_any() -> None:
    stage = Stage(PLANS["sequence"])
    stage.claim("a")
    begun = stage.run.updated_at
    stage.at = Instant(begun - HOUR)
    call = stage.call(stage.dispatch("a", WRITE))
    assert call.dispatched_at == begun
    assert call.quarantine_until > begun


def test_a_log_whose_instants_went_back_is_decided_again_as_it_was() -> None:
    stage = Stage(PLANS["sequence"])
    early, ahead = stage.at, replace(stage.run, updated_at=Instant(stage.at + HOUR))
    events = stage.do(Claim("a", 1, "ses_1"))  # as a process did that was an hour behind
    assert ahead.updated_at > events[0].at > early  # type: ignore[union-attr]
    again = decided_again(ahead, stage.plan, events, stage.sight())
    assert (again.agrees, again.events) == (True, events)
