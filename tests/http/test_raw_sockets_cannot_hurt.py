"""What no HTTP client sends: slow, endless, broken and countless connections cost the others nothing."""

import asyncio
import contextlib
import json
import time

import httpx2
import pytest
from http_house import House, served

from bailiwick.http import Limits
from platform_kit import PATIENCE

pytestmark = pytest.mark.postgres_when_long

QUICK = Limits(head_seconds=0.3, body_seconds=0.3, linger_seconds=0.5, head_bytes=8_192, connections=260)
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/runs HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

BROKEN: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "nothing": (b"", (0,)),
    "line ends": (b"\r\n" * 100, (0,)),
    "zeros": (b"\0" * 1000, (400,)),
    "prose": (b"hello there\r\n\r\n", (400,)),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,)),
    "http 0.9": (b"GET /\r\n\r\n", (400, 404)),
    "http 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    "http 9": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", (400,)),
    "http 1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", (200,)),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", (400,)),
    "two hosts": (GET + b"Host: y\r\n\r\n", (400,)),
    "connect": (b"CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404, 405)),
    "star": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404, 405)),
    "whole address": (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n", (200, 404)),
    "unknown method": (b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n", (400, 405)),
    "raw bytes in the path": (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
    "upgrade": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", (200, 400)),
    "h2c": (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n", (200, 400)),
    "header without colon": (GET + b"nonsense\r\n\r\n", (400,)),
    "folded header": (GET + b"A: b\r\n c\r\n\r\n", (200, 400)),
    "space before colon": (GET + b"A : b\r\n\r\n", (400,)),
    "nul in header": (GET + b"A: \0\r\n\r\n", (400,)),
    "long header": (GET + b"A: " + b"a" * 9_000 + b"\r\n\r\n", (431,)),
    "endless header": (GET + b"A: " + b"a" * 100_000, (0, 431)),
    "endless name": (GET + b"a" * 100_000, (0, 431)),
    "endless line": (b"GET /" + b"a" * 100_000, (0, 431)),
    "many headers": (GET + b"A: b\r\n" * 5_000, (0, 431)),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", (400,)),
    "length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (0, 400, 401)),
    "chunked twice": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", (0, 400, 401)),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n", (400,)),
    "huge length": (POST + b"Content-Length: 99999999999999999999\r\n\r\n", (400,)),
    "bad chunk": (CHUNKED + b"zz\r\nab\r\n", (0, 400, 401)),
    "negative chunk": (CHUNKED + b"-1\r\nab\r\n", (0, 400, 401)),
    "huge chunk": (CHUNKED + b"f" * 40 + b"\r\n", (0, 400, 401)),
    "chunk without end": (CHUNKED + b"2\r\nabXX", (0, 400, 401)),
    "endless chunk extension": (CHUNKED + b"1;" + b"x" * 100_000, (0, 400, 401, 431)),
    "endless trailer": (CHUNKED + b"1\r\na\r\n0\r\n" + b"A: b\r\n" * 20_000, (0, 400, 401, 431)),
}  # fmt: skip


async def said(port: int, sent: bytes, seconds: float = 3.0) -> tuple[bytes, float]:
    """Send bytes and read until the server closes; the time it took to close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began, got = time.monotonic(), b""
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        async with asyncio.timeout(seconds):
            got = await reader.read(-1)
    writer.close()
    return got, time.monotonic() - began


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def lives(port: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_broken_requests_are_refused_and_the_api_goes_on(house: House) -> None:
    async with served(house.door(QUICK)) as port:
        for case, (sent, wanted) in BROKEN.items():
            closing = (
                sent.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
                if b"grade" not in sent
                else sent
            )
            answer, _ = await said(port, closing, 8.0)
            assert status_of(answer) in wanted, (case, answer[:200])
            assert status_of(answer) < 500, (case, answer[:200])
            if status_of(answer) >= 400:
                head, _, body = answer.partition(b"\r\n\r\n")
                assert b"application/problem+json" in head, (case, head)
                assert json.loads(body)["remedy"], case
            await lives(port)
    assert len(BROKEN) >= 35


@pytest.mark.parametrize(
    "sent", [b"", b"G", GET, GET + b"A: ", b"\r\n", POST + b"Content-Length: 10\r\n\r\n"]
)
async def test_a_slow_head_or_body_has_its_time_and_no_more(house: House, sent: bytes) -> None:
    async with served(house.door(QUICK)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()

        answered = asyncio.create_task(reader.read(-1))
        with contextlib.suppress(ConnectionError):
            for byte in sent + b"x" * 1_000:
                writer.write(bytes([byte]))
                await writer.drain()
                if (await asyncio.wait({answered}, timeout=0.02))[0]:
                    break
        await asyncio.wait({answered}, timeout=8)
        assert answered.done()
        assert time.monotonic() - began < 7
        answered.exception()
        writer.close()
        await lives(port)


async def test_pipelined_requests_are_answered_in_order_and_garbage_behind_them_ends_it(house: House) -> None:
    last = GET + b"Connection: close\r\n\r\n"
    async with served(house.door(QUICK)) as port:
        answer, _ = await said(port, (GET + b"\r\n") * 99 + last)
        assert answer.count(b"HTTP/1.1 200") == 100
        answer, _ = await said(port, GET + b"\r\n" + b"\0garbage\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200") <= 1
        assert b"HTTP/1.1 5" not in answer
        await lives(port)


async def test_idle_connections_are_counted_and_closed(house: House) -> None:
    async with served(house.door(QUICK)) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        await lives(port)
        more = [asyncio.create_task(said(port, b"")) for _ in range(80)]
        answers = [status_of(answer) for answer, _ in await asyncio.gather(*more)]
        assert answers.count(503) >= 15, answers
        for reader, writer in idle:
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    assert await reader.read(-1) == b""
            writer.close()
        await lives(port)
