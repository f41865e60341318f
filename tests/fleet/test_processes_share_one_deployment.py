"""Processes on one database: each takes what another was given, heeds its halts and keys, and shows its runs."""

import signal
import time
from collections.abc import Callable

from fleet_kit import Fleet, Landed, Member, wait_for

from figures import tell


def by(fleet: Fleet, member: Member) -> list[Landed]:
    """List what a process did outside, in order."""
    return [line for line in fleet.landed() if line.pid == member.process.pid]


def gazing(fleet: Fleet, member: Member) -> None:
    """Wait until a process reads on and on."""
    wait_for(lambda: len(by(fleet, member)) > 3, "reads of that process")


def other_of(fleet: Fleet, line: Landed) -> Member:
    return next(member for member in fleet.members if member.process.pid != line.pid)


def test_a_run_of_one_door_is_worked_on_watched_and_halted_at_another(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2)
    first, second = fleet.members
    # Each is asked at one door and watched at the other; some are worked on by a third hand than the watcher's.
    for submitter, watcher in ((first, second), (second, first)) * 2:
        run = submitter.submit("two")
        kinds = []
        begun = time.monotonic()
        address = f"/v1/runs/{run}/events"
        with watcher.client.stream("GET", address, headers={"accept": "text/event-stream"}) as stream:
            kinds = [line for line in stream.iter_lines() if line.startswith("event: ")]
        assert kinds[0] == "event: run.created"
        assert kinds[-2:] == ["event: run.closed", "event: end"]
        assert time.monotonic() - begun < 3.0 + fleet.slack()
        assert watcher.status(run) == "completed"
    assert len(fleet.landed()) == 8

    key = first.post("keys", name="guest", role="viewer")
    guest = {"authorization": f"Bearer {key['secret']}"}
    wait_for(
        lambda: second.client.get("/v1/runs", headers=guest).status_code == 200, "the key to be known", 5.0
    )
    first.post(f"keys/{key['key']['id']}:revoke")
    begun = time.monotonic()
    wait_for(lambda: second.client.get("/v1/runs", headers=guest).status_code == 401, "the key to be refused")
    assert time.monotonic() - begun < 2.0 + fleet.slack()

    run = first.submit("endless")
    wait_for(lambda: fleet.landed()[8:], "the first read")
    worker_pid = fleet.landed()[-1]
    door = other_of(fleet, worker_pid)
    door.post("halts", scope="tool", target="fleet.peek", reason="stop")
    acknowledged = time.time()
    wait_for(lambda: door.status(run) == "blocked", "the run to stand still")
    late = [line.at - acknowledged for line in fleet.landed() if line.at > acknowledged]
    tell(
        f"actions begun elsewhere after the halt was acknowledged: {len(late)}, the last {max(late, default=0):.3f} s"
    )
    assert max(late, default=0.0) < 1.0
    (halt,) = door.get("halts")["halts"]
    door.post(f"halts/{halt['id']}:lift")
    count = len(fleet.landed())
    wait_for(lambda: len(fleet.landed()) > count, "the run to go on")
    door.post(f"runs/{run}:cancel", reason="enough")
    fleet.ended()
    assert door.status(run) == "canceled"


def test_a_process_that_is_cut_off_from_the_database_begins_nothing(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.end()  # its work must not be taken by this one
    lone, line = fleet.start_behind_a_line()
    run = lone.submit("endless")
    gazing(fleet, lone)
    line.send_signal(signal.SIGSTOP)
    cut = time.time()
    wait_for(lambda: time.time() > cut + 2.0, "two seconds without a database")
    late = [each.at - cut for each in by(fleet, lone) if each.at > cut]
    tell(f"actions begun after the cut: {len(late)}, the last {max(late, default=0):.3f} s")
    assert max(late, default=0.0) < 0.5 + fleet.slack()
    line.send_signal(signal.SIGCONT)
    count = len(by(fleet, lone))
    wait_for(lambda: len(by(fleet, lone)) > count, "the run to go on")
    lone.post(f"runs/{run}:cancel", reason="enough")
    fleet.ended()
