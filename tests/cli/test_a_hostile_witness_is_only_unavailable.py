"""Whatever a witness answers, it is bounded and costs no other witness its turn."""

import pytest
from line_kit import Server

from bailiwick.audit import Growth, WitnessBehind
from bailiwick.ports import WitnessUnavailable
from bailiwick.wiring.witnesses import witness_at

GROWTH = Growth(0, (), "log.test\n1\nAAAA\n\n")
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 64_000_000


def behind(size: str) -> bytes:
    return f"HTTP/1.1 409 Conflict\r\ncontent-length: {len(size)}\r\n\r\n{size}".encode()


@pytest.mark.parametrize(
    "answer",
    [
        behind("9" * 5_000),
        behind("\u0663"),
        behind("-1"),
        behind(""),
        b"",
        b"HTTP/1.1 500 No\r\n\r\n",
        b"\0" * 99,
    ],
    ids=["long", "another script", "below zero", "empty", "cut", "broken", "no http"],
)
async def test_what_makes_no_sense_is_no_answer(answer: bytes) -> None:
    server = Server(answer)
    with pytest.raises(WitnessUnavailable):
        await witness_at(server.url, tuple).add("log.test", GROWTH)
    server.close()


async def test_a_size_is_read() -> None:
    server = Server(behind("17\n"))
    with pytest.raises(WitnessBehind) as refusal:
        await witness_at(server.url, tuple).add("log.test", GROWTH)
    server.close()
    assert refusal.value.facts["seen"] == 17


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    server = Server(ENDLESS)
    assert len(await witness_at(server.url, tuple).add("log.test", GROWTH)) <= 16_384
    server.close()
    assert server.taken == 0
