"""P4: whoever listens to a process that stops hears all of it, is told where to go on, and keeps it from ending no longer."""

import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fleet_kit import Fleet, Member, wait_for
from test_a_stop_cuts_no_call_off import again, draining, gone, landed

SECONDS = 10.0
"""What the end of a process may take once nothing is on its way: two for its connections, some for a slow machine."""


class Listener:
    """A connection by hand: what it was sent waits until somebody looks."""

    def __init__(
        self, member: Member, path: str, head: str = "", method: str = "GET", end: str = "\r\n"
    ) -> None:
        url = member.client.base_url
        self._socket = socket.create_connection((url.host, url.port))
        self._socket.settimeout(SECONDS)
        key = member.client.headers["authorization"]
        asked = f"{method} {path} HTTP/1.1\r\nHost: door\r\nAuthorization: {key}\r\n{head}{end}"
        self._socket.sendall(asked.encode())
        self.heard = b""

    def until(self, text: bytes) -> None:
        while text not in self.heard:
            self.heard += self._socket.recv(65_536)

    def rest(self) -> str:
        """Read to the end of the connection."""
        with self._socket:
            try:
                while piece := self._socket.recv(65_536):
                    self.heard += piece
            except ConnectionResetError:
                pass
        return self.heard.decode()


def events(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the events of a stream with their names."""
    for name, data in re.findall(r"event: (\S+)\ndata: (.*)\n", text):
        yield name, json.loads(data)


def seqs(text: str) -> list[int]:
    return [int(seq) for seq in re.findall(r"^id: (\d+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("words", [1, 2])
def test_streams_go_on_while_a_process_drains_and_say_where_to_resume_at_its_end(
    fleet_of: Callable[..., Fleet], words: int
) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    door.hold.touch()
    run, other = door.submit("send"), door.submit("endless")
    path = f"/v1/runs/{run}/events"
    sse = "Accept: text/event-stream\r\n"
    wait_for(lambda: landed(fleet, "send") and landed(fleet, "peek"), "calls on their way")
    before = [Listener(door, path, sse), Listener(door, f"/v1/runs/{other}/events", sse)]
    for each in before:
        each.until(b"id: 1\n")
    draining(door)
    late = Listener(door, path, sse)
    late.until(b"id: 1\n")
    if words == 2:
        door.signal(signal.SIGTERM)
    else:
        door.hold.unlink()
    assert door.process.wait(SECONDS) == 0
    door.hold.unlink(missing_ok=True)
    told = [each.rest() for each in (*before, late)]
    again(door)
    for text, of in zip(told, (run, other, run), strict=True):
        assert text.endswith("\r\n0\r\n\r\n"), "the answer was cut"
        (name, last), *more = reversed(list(events(text)))
        seen = last["last" if name == "end" else "resume_after"]
        assert name == "end" or (name, last["reason"]) == ("resume", "shutdown")
        assert seqs(text) == list(range(1, seen + 1))
        assert len(more) >= seen
        if of == run:
            page = door.get(f"runs/{run}/events?after={seen}&limit=200")["events"]
            assert [event["seq"] for event in page] == list(range(seen + 1, seen + 1 + len(page)))
    if words == 1:  # its action was answered while it drained, and that was told before the end
        assert "action.moved" in dict(events(told[0])), told[0]


def test_connections_that_say_nothing_keep_no_process_up(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    (door,) = fleet.members
    kept = Listener(door, "/healthz")
    kept.until(b"\r\n\r\n")
    half = Listener(door, "/healthz", end="")
    owing = Listener(door, "/v1/runs", "Content-Length: 9\r\nContent-Type: application/json\r\n", "POST")
    draining(door)
    assert gone(door) == 0
    for each in (kept, half, owing):
        each.rest()
