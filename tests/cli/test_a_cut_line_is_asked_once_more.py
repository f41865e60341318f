"""A connection that is cut before the answer: a read is asked once more, an act is not."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from bailiwick.cli.client import Client, Unreachable

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Takes one connection after the other, and gives each the next answer; an empty one is a cut."""

    def __init__(self, *answers: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[bytes] = []
        self._thread = Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return  # closed: nobody asked again
            with line:
                self.asked.append(line.recv(65_536).partition(b" ")[0])
                line.sendall(answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def cut_once() -> Iterator[Server]:
    server = Server(b"", ANSWER)
    yield server
    server.close()


def test_a_read_is_asked_once_more(cut_once: Server) -> None:
    with Client(cut_once.url, "key") as client:
        assert client.get("/v1/runs") == {}
    assert cut_once.asked == [b"GET", b"GET"]


def test_an_act_is_not(cut_once: Server) -> None:
    with Client(cut_once.url, "key") as client, pytest.raises(Unreachable):
        client.post("/v1/runs", {})
    assert cut_once.asked == [b"POST"]


def test_a_line_that_is_cut_twice_is_told() -> None:
    server = Server(b"", b"", ANSWER)
    with Client(server.url, "key") as client, pytest.raises(Unreachable):
        client.get("/v1/runs")
    server.close()
    assert server.asked == [b"GET", b"GET"]
