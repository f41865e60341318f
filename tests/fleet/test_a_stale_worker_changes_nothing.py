"""P4, P5, P6: processes are frozen for three leases and killed while they work; others go on, the frozen change nothing."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

from fleet_kit import LEASE_SECONDS, PATIENCE, Fleet, Member, wait_for
from fleet_story import Story, taken_over

from figures import tell

LONG = bool(os.environ.get("BAILIWICK_LONG"))
PROCESSES, TASKS, ROUNDS = (6, 600, 4) if LONG else (3, 120, 1)
RECOVERY_SECONDS = LEASE_SECONDS + 3.0
WORKFLOWS = ("one", "two")


class Work:
    """The runs that were submitted, with how many effects each has."""

    def __init__(self, door: Member) -> None:
        self.door = door
        self.jobs: dict[str, int] = {}

    def more(self) -> None:
        """Submit one run, of one step or of two."""
        steps = 1 + len(self.jobs) % 2
        self.jobs[self.door.submit(WORKFLOWS[steps - 1])] = steps

    def until(self, look: Callable[[], object], seconds: float = PATIENCE, at_once: int = TASKS) -> None:
        """Submit one run after the other, so many at once at most, until something is so."""
        give_up = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < give_up, "it never came to be so"
            if at_once == TASKS or self.door.open_runs() < at_once:
                self.more()


def freeze(fleet: Fleet, work: Work, member: Member) -> float:
    """Stop a process that has work for three leases; answer how long its work took to get into other hands."""
    work.until(member.holds)
    since = member.signal(signal.SIGSTOP)
    seconds = taken_over(fleet, member.holds(), since)
    wait_for(lambda: time.time() > since + 3 * LEASE_SECONDS, "three leases")
    member.signal(signal.SIGCONT)
    return seconds


def kill(fleet: Fleet, work: Work, member: Member) -> float:
    """Kill a process that has work and start it again once its work is in other hands."""
    work.until(member.holds)
    since = member.signal(signal.SIGKILL)
    tasks = member.holds()
    member.end()
    seconds = taken_over(fleet, tasks, since)
    member.start()
    return seconds


def outlive_the_lease(work: Work, member: Member) -> int:
    """Start a process that does not know when its lease is gone; answer how many of its writes were refused."""
    member.deaf.touch()
    member.start(FLEET_HARD_OF_HEARING="1", FLEET_DELAY="4.0")
    member.ready()
    work.until(lambda: member.fenced() > 0)
    refused = member.fenced()
    member.end()
    return refused


def test_frozen_and_killed_processes_change_nothing_and_lose_nothing(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(PROCESSES, delay=0.5)
    door, frozen, killed = fleet.members[:3]
    work = Work(door)
    recoveries = []
    for _ in range(ROUNDS):
        recoveries.append(freeze(fleet, work, frozen))
        recoveries.append(kill(fleet, work, killed))
        killed.ready()
    killed.end()
    refused = outlive_the_lease(work, killed)
    work.until(lambda: len(work.jobs) >= TASKS)
    jobs = work.jobs
    fleet.ended()
    stories = {run: Story(list(fleet.events(door, run))) for run in jobs}
    arrivals = Counter(line.key for line in fleet.landed())
    refused += door.fenced() + frozen.fenced()
    tell(
        f"{len(jobs)} runs, {PROCESSES} processes, {sum(jobs.values())} effects: {sum(arrivals.values())} arrivals "
        f"({sum(arrivals.values()) / sum(jobs.values()):.3f} an effect), {refused} stale writes refused, "
        f"{sum(story.releases for story in stories.values())} leases taken back, "
        f"in other hands after at most {max(recoveries):.2f} s"
    )
    assert [story.status for story in stories.values() if story.status != "completed"] == []
    assert [stale for story in stories.values() for stale in story.stale] == []
    assert len(arrivals) == sum(jobs.values())  # each effect under one key, and none under two
    assert refused > 0
    assert max(recoveries) <= RECOVERY_SECONDS + fleet.slack(), recoveries
    assert fleet.sql("SELECT count(*) FROM tasks") == ["0"]


def late(fleet: Fleet, work: Work) -> str:
    stories = [Story(list(fleet.events(work.door, run))) for run in work.jobs]
    return next((stale for story in stories for stale in story.stale), "")


def test_a_process_without_fences_is_found_out(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2)
    door, loose = fleet.members
    loose.end()
    loose.hold.touch()
    loose.start(FLEET_HARD_OF_HEARING="1", FLEET_UNFENCED="1")
    loose.ready()

    def brought(by: Member) -> set[str]:
        return {line.key for line in fleet.landed() if line.pid == by.process.pid}

    work = Work(loose)  # it takes what it was asked for first
    work.until(lambda: brought(loose), at_once=2)
    door.hold.touch()  # whoever takes over is still at work when the first one reports
    loose.deaf.touch()
    wait_for(lambda: brought(loose) & brought(door), "the work to be taken over")
    loose.hold.unlink()
    found = wait_for(lambda: late(fleet, work), "a late report that is believed")
    tell(f"found after {len(work.jobs)} runs: {found}")
    assert found
