"""P4: a process that is told to stop waits for the calls on their way, leaves the rest to others, and says so."""

import signal
from collections import Counter
from collections.abc import Callable

import pytest
from fleet_kit import Fleet, Member, wait_for

from figures import tell


def landed(fleet: Fleet, tool: str, member: Member | None = None) -> int:
    pid = member.process.pid if member is not None else 0
    return sum(line.tool == tool and pid in (0, line.pid) for line in fleet.landed())


def draining(member: Member) -> None:
    """Tell a process to stop, and wait until it says that it does."""
    member.signal(signal.SIGTERM)

    def said() -> bool:
        ready = member.client.get("/readyz")
        return ready.status_code == 503 and "draining" in ready.json()["reasons"].get("serving", "")

    wait_for(said, "a process that drains")


def gone(member: Member) -> int:
    return member.process.wait(60.0)


def again(member: Member) -> None:
    member.end()
    member.start()
    member.ready()


def test_calls_on_their_way_end_before_the_process_does(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.hold.touch()  # no call is answered
    runs = [door.submit("send") for _ in range(4)]
    wait_for(lambda: landed(fleet, "send") == 4, "four calls on their way")
    draining(door)
    late = door.submit("send")  # the door is open as long as the process is there; others do the work
    door.hold.unlink()
    assert gone(door) == 0
    states = fleet.sql("SELECT status FROM runs ORDER BY id")
    unknown = "SELECT count(*) FROM runs WHERE status = 'blocked'"
    assert fleet.sql(unknown) == ["0"], states
    assert landed(fleet, "send") == 4, "nothing began after the word to stop"
    again(door)
    fleet.ended()
    assert {door.status(run) for run in (*runs, late)} == {"completed"}
    assert landed(fleet, "send") == 5
    tell(
        f"4 of 4 external calls on their way at SIGTERM were recorded as done; {landed(fleet, 'send')} sent for 5 runs"
    )


def test_a_step_that_is_in_no_call_goes_on_elsewhere_while_calls_are_waited_for(
    fleet_of: Callable[..., Fleet],
) -> None:
    fleet = fleet_of(2)
    staying, leaving = fleet.members
    staying.end()  # it must not take the work first
    leaving.hold.touch()
    sending = leaving.submit("send")
    thinking = leaving.submit("think")
    wait_for(lambda: landed(fleet, "send") and landed(fleet, "peek"), "a call, and a thought")
    again(staying)
    draining(leaving)
    wait_for(lambda: staying.status(thinking) == "completed", "the thought to be finished elsewhere")
    assert leaving.process.poll() is None, "its call is still on its way"
    assert landed(fleet, "put", staying) == 1
    leaving.hold.unlink()
    assert gone(leaving) == 0
    fleet.ended()
    assert staying.status(sending) == "completed"
    assert Counter(line.tool for line in fleet.landed())["send"] == 1


def test_a_second_word_ends_a_process_at_once(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.hold.touch()
    run = door.submit("one")
    wait_for(lambda: landed(fleet, "put"), "a call on its way")
    draining(door)
    door.signal(signal.SIGTERM)
    assert gone(door) == 0
    assert door.hold.exists(), "nobody answered the call"
    door.hold.unlink()
    again(door)
    fleet.ended()
    assert door.status(run) == "completed"
    assert len({line.key for line in fleet.landed()}) == 1  # it knows the key: sent again, done once


def test_an_external_action_that_outlasts_the_drain_is_a_question(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.end()
    door.start(BAILIWICK_DRAIN_SECONDS="0.2")
    door.ready()
    door.hold.touch()
    run = door.submit("send")
    wait_for(lambda: landed(fleet, "send"), "a call on its way")
    door.signal(signal.SIGINT)
    assert gone(door) == 0
    door.hold.unlink()
    again(door)
    wait_for(lambda: door.status(run) == "blocked", "the question")
    assert "outcome unknown" in door.get(f"runs/{run}")["run"]["waiting_for"]
    assert landed(fleet, "send") == 1


def test_a_second_word_waits_for_no_thread_of_a_tool(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.hold.touch()
    run = door.submit("block")
    wait_for(lambda: landed(fleet, "block"), "a call on its way")
    draining(door)
    door.signal(signal.SIGTERM)
    assert gone(door) == 0
    door.hold.unlink()
    again(door)
    wait_for(lambda: door.status(run) == "blocked", "the question")
    assert landed(fleet, "block") == 1


@pytest.mark.parametrize(
    ("second", "third"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGINT)],
)
def test_a_third_word_ends_a_process_whatever_it_is_at(
    fleet_of: Callable[..., Fleet], second: signal.Signals, third: signal.Signals
) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.hold.touch()
    run = door.submit("cling")
    wait_for(lambda: landed(fleet, "cling"), "a call on its way")
    draining(door)
    door.signal(second)
    wait_for(lambda: landed(fleet, "clung"), "a call that hears no end")
    door.signal(third)
    assert gone(door) == -third
    door.hold.unlink()
    again(door)
    wait_for(lambda: door.status(run) == "blocked", "the question")
    assert landed(fleet, "cling") == 1
