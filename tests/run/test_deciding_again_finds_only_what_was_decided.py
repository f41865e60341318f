"""Deciding again agrees with a record or it does not; of what it cannot make, it shows the nearest that it can."""

from msgspec.structs import replace
from run_kit import PLANS, Stage

from bailiwick.run import Claim, Created, decided_again


def test_an_opening_inside_a_run_and_a_fact_before_any_opening_are_never_found() -> None:
    stage = Stage(PLANS["sequence"])
    opening = stage.events
    claimed = stage.do(Claim("a", 1, "ses_1"))
    for before, events in ((stage.run, opening), (None, claimed)):
        again = decided_again(before, stage.plan, events, stage.sight())
        assert (again.agrees, again.command, again.events) == (False, None, ())


def test_of_an_opening_that_was_edited_the_right_one_is_shown() -> None:
    stage = Stage(PLANS["sequence"])
    first = stage.events[0]
    assert isinstance(first, Created)
    again = decided_again(None, stage.plan, (replace(first, moves=()), *stage.events[1:]), stage.sight())
    assert (again.agrees, again.command) == (False, None)
    assert again.events == stage.events


def test_of_a_claim_that_was_edited_the_right_one_is_shown() -> None:
    stage = Stage(PLANS["sequence"])
    before, events = stage.run, stage.do(Claim("a", 1, "ses_1"))
    edited = tuple(
        replace(event, moves=tuple(replace(move, epoch=7) for move in event.moves)) for event in events
    )
    again = decided_again(before, stage.plan, edited, stage.sight())
    assert (again.agrees, again.command, again.events) == (False, Claim("a", 1, "ses_1"), events)
