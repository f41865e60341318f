"""P4: a process that is told to stop hands its work over at once, and a database that was away is found again."""

import os
import signal
import time
from collections.abc import Callable

from fleet_kit import LEASE_SECONDS, Fleet, wait_for

from figures import tell
from postgres_kit import cluster

RESTARTS = 6 if os.environ.get("BAILIWICK_LONG") else 1


def test_a_process_that_is_told_to_stop_leaves_its_work_to_the_others(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2)
    run = fleet.members[0].submit("endless")
    wait_for(fleet.landed, "the first read")
    leaving = next(each for each in fleet.members if each.process.pid == fleet.landed()[-1].pid)
    (staying,) = (each for each in fleet.members if each is not leaving)
    since = leaving.signal(signal.SIGTERM)
    begun = wait_for(
        lambda: [each.at for each in fleet.landed() if each.pid == staying.process.pid], "the other to go on"
    )
    assert leaving.process.wait(10.0) == 0
    seconds = time.time() - since
    tell(f"gone after {seconds:.2f} s, the work went on after {begun[0] - since:.2f} s")
    assert begun[0] - since < min(2.0 + fleet.slack(), LEASE_SECONDS + 3.0)
    assert fleet.sql("SELECT count(*) FROM sessions") == ["1"]
    staying.post(f"runs/{run}:cancel", reason="enough")
    fleet.ended()


def first_after(fleet: Fleet, count: int) -> float:
    """Wait until more has landed than this many; answer when the first of it did."""
    return wait_for(lambda: fleet.landed()[count:], "the first action after it")[0].at


def test_work_goes_on_by_itself_when_the_database_comes_back(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2, delay=0.1)
    door = fleet.members[0]
    waits = []
    for how in ([signal.SIGQUIT, signal.SIGINT] * RESTARTS)[:RESTARTS]:
        jobs = [door.submit("two") for _ in range(20)]
        wait_for(lambda: len(fleet.landed()) > 5, "work in hand")
        cluster().stop(how)
        before = len(fleet.landed())
        cluster().start()
        back = time.time()
        waits.append(first_after(fleet, before) - back)
        fleet.ended()
        assert {door.status(run) for run in jobs} == {"completed"}
        assert len({line.key for line in fleet.landed()}) == 40
        fleet.landed_in.unlink()
    tell(f"{RESTARTS} restarts, the first action at most {max(waits):.2f} s after the return")
    assert max(waits) < 5.0 + fleet.slack()
