"""What the keeper looks after is one list: every process does all of it, the simulation too, or says why it does not."""

import pytest

from bailiwick.keeper import LONE, PERIODS, SHARED, duties_of, periods_for
from bailiwick.testing.simulation.nodes import ELSEWHERE
from bailiwick.testing.simulation.nodes import PERIODS as SIMULATED
from platform_kit import System

OWN = ("clock", "room", "keys", "watchers")


async def nothing() -> int:
    return 0


@pytest.mark.parametrize("shared", [False, True])
async def test_every_duty_of_a_process_can_be_done(system: System, shared: bool) -> None:
    periods = periods_for(shared=shared)
    own = dict.fromkeys(OWN, nothing)
    duties = duties_of(system.platform, own, periods)
    assert {duty.name: duty.every_seconds for duty in duties} == periods
    for duty in duties:
        assert await duty.act() >= 0


async def test_a_duty_that_nobody_knows_is_no_silent_gap(system: System) -> None:
    with pytest.raises(KeyError):
        duties_of(system.platform, {}, {"tidy": 1.0})
    with pytest.raises(KeyError):
        duties_of(system.platform, {}, {"clock": 1.0})  # of the process itself, which did not say how


def test_the_simulation_does_every_duty_or_says_why_not() -> None:
    every = {*PERIODS, *LONE, *SHARED}
    assert {*SIMULATED} | {*ELSEWHERE} == every
    assert not {*SIMULATED} & {*ELSEWHERE}
