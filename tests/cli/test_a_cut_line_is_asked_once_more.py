"""A connection that is cut before the answer: a read is asked once more, an act is not."""

from collections.abc import Iterator

import pytest
from line_kit import Server

from bailiwick.cli.client import Client, Unreachable

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


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
