"""P17: processes whose machines are 150 s apart, frozen and killed while they work, agree on the time of all they do."""

import signal
import time
from collections import Counter
from collections.abc import Callable

from fleet_kit import LEASE_SECONDS, SLOTS, Fleet, Member, wait_for
from fleet_story import Story, taken_over

from figures import tell

APART = (-75.0, 75.0)
RUNS = 30
STATUS = "SELECT id FROM runs WHERE status = 'blocked'"


def submit(fleet: Fleet, runs: list[str], count: int) -> None:
    """Submit runs of three tools, at one door after the other."""
    for _ in range(count):
        door = fleet.members[len(runs) % 2]
        given = {"app": "fleet", "workflow": "three", "input": {"name": f"thing-{len(runs)}"}}
        runs.append(str(door.post("runs", **given)["id"]))


def in_hand(member: Member) -> list[tuple[str, int]]:
    return wait_for(member.holds, "work in its hands")


def frozen(fleet: Fleet, member: Member) -> set[str]:
    """Freeze a process with work for three leases; answer which runs it had in hand."""
    in_hand(member)
    since = member.signal(signal.SIGSTOP)
    tasks = member.holds()
    taken_over(fleet, tasks, since)
    wait_for(lambda: time.time() > since + 3 * LEASE_SECONDS, "three leases")
    member.signal(signal.SIGCONT)
    return {task.partition("/")[0] for task, _ in tasks}


def killed(fleet: Fleet, member: Member) -> set[str]:
    """Kill a process with work, and start it again when its work is in other hands."""
    in_hand(member)
    since = member.signal(signal.SIGKILL)
    tasks = member.holds()
    member.end()
    taken_over(fleet, tasks, since)
    member.start()
    member.ready()
    return {task.partition("/")[0] for task, _ in tasks}


def deaf(fleet: Fleet, member: Member, runs: list[str]) -> None:
    """Let a process go on after its lease is gone, until a write of its own is refused.

    All its hands are full of calls that are not answered, so it asks for no more work, which would tell it.
    """
    member.end()
    member.hold.touch()
    member.start(FLEET_HARD_OF_HEARING="1")
    member.ready()
    submit(fleet, runs, 10)
    mine = member.process.pid
    wait_for(
        lambda: len([put for put in fleet.landed() if (put.tool, put.pid) == ("put", mine)]) == SLOTS, "puts"
    )
    since, tasks = time.time(), member.holds()
    member.deaf.touch()
    taken_over(fleet, tasks, since)
    member.hold.unlink()
    wait_for(lambda: member.fenced() > 0, "a write that is refused")
    member.end()
    member.start()
    member.ready()


def test_processes_150_s_apart_double_nothing_and_block_nothing_without_cause(
    fleet_of: Callable[..., Fleet],
) -> None:
    fleet = fleet_of(2, delay=0.3, clocks=APART)
    early, late = fleet.members
    runs: list[str] = []
    excused: set[str] = set()
    submit(fleet, runs, 6)
    excused |= frozen(fleet, late)
    submit(fleet, runs, 6)
    excused |= killed(fleet, early)
    deaf(fleet, late, runs)
    submit(fleet, runs, RUNS - len(runs))
    wait_for(lambda: fleet.open_runs() == len(fleet.sql(STATUS)), "all runs to end or to stand still")

    stories = {run: Story(list(fleet.events(early, run))) for run in runs}
    blocked = set(fleet.sql(STATUS))
    sent = Counter(line.name for line in fleet.landed() if line.tool == "send")
    put = {line.key for line in fleet.landed() if line.tool == "put"}
    tell(
        f"{len(runs)} runs of three tools, clocks 150 s apart: {len(sent)} sent, "
        f"{sum(sent.values()) - len(sent)} twice, {len(put)} keys put, {len(blocked)} blocked of {len(excused)} that "
        f"were cut off"
    )
    assert [each for story in stories.values() for each in story.backwards] == []
    assert [each for story in stories.values() for each in story.stale] == []
    assert {status for run in set(runs) - blocked for status in [stories[run].status]} == {"completed"}
    assert blocked <= excused, "what nobody cut off is blocked"
    assert max(sent.values()) == 1
    assert len(put) == RUNS


def test_what_a_process_with_a_wrong_clock_tells_is_the_time_of_the_database(
    fleet_of: Callable[..., Fleet],
) -> None:
    fleet = fleet_of(1, clocks=(150.0,))
    (door,) = fleet.members
    run = door.submit("one")
    fleet.ended()
    (off,) = fleet.sql(f"SELECT now_us() - created_at FROM runs WHERE id = '{run}'")
    assert 0 <= int(off) < 60_000_000
    shown = {
        name: float(value)
        for name, _, value in (line.partition(" ") for line in door.client.get("/metrics").text.splitlines())
        if name.startswith("bailiwick_clock_")
    }
    assert abs(shown["bailiwick_clock_offset_seconds"] - 150.0) < 0.5
    assert 0.0 <= shown["bailiwick_clock_error_seconds"] < 0.5
