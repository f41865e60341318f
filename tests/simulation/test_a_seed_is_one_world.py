"""A seed is one world: twice the same, in another process, under another hash seed; and a plan is its faults."""

import asyncio
import os
import subprocess
import sys

import pytest

from bailiwick.testing.simulation import Fault, parse_plan, plan_text, simulate
from bailiwick.testing.simulation.loop import Deadlock, Exhausted, SimLoop

SEEDS = (3, 11)
DIGEST = "from bailiwick.testing.simulation import simulate; print(*(simulate(s).digest for s in {seeds}))"


def test_a_seed_gives_the_same_digest_twice_and_elsewhere() -> None:
    here = [simulate(seed).digest for seed in SEEDS]
    assert [simulate(seed).digest for seed in SEEDS] == here
    assert len(set(here)) == len(SEEDS)
    for hash_seed in ("0", "4711"):
        there = subprocess.run(
            [sys.executable, "-c", DIGEST.format(seeds=SEEDS)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Kathmandu"},
            capture_output=True,
            check=True,
        )
        assert there.stdout.decode().split() == here


def test_the_faults_of_a_seed_are_a_plan_that_replays_it() -> None:
    first = simulate(SEEDS[0])
    assert first.struck
    again = simulate(SEEDS[0], parse_plan(plan_text(first.struck)))
    assert (again.digest, again.struck) == (first.digest, first.struck)
    assert simulate(SEEDS[0], {}).counts == {}


def test_a_plan_is_written_as_it_is_read() -> None:
    plan = {3: Fault.CRASH, 17: Fault.COMMIT_UNKNOWN}
    assert plan_text(plan) == "3:crash,17:commit-unknown"
    assert parse_plan(plan_text(plan)) == plan
    assert parse_plan("none") == {}
    with pytest.raises(ValueError, match="explosion"):
        parse_plan("3:explosion")


def test_hidden_input_and_threads_fail_where_they_are_used() -> None:
    async def hidden() -> None:
        await asyncio.to_thread(print, "never")

    loop = SimLoop(1, 100)
    with pytest.raises(RuntimeError):
        loop.run(hidden())


def test_waiting_for_nothing_is_a_deadlock_and_running_for_ever_is_cut_off() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    async def runs() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Deadlock):
        SimLoop(1, 100).run(waits())
    with pytest.raises(Exhausted):
        SimLoop(1, 100).run(runs())
