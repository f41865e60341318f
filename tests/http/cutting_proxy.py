"""A TCP proxy that cuts connections where a test says, and a raw client that keeps whole events only."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from http_house import parse_sse

_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


class Proxy:
    """Lets each connection pass as many bytes towards the client as the next number says; None: all."""

    def __init__(self, target: int, cuts: Iterator[int | None]) -> None:
        self._target = target
        self._cuts = cuts
        self.port = 0
        self.cut = 0
        self.connections = 0
        self.open: dict[asyncio.Task, list[asyncio.StreamWriter]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        left = next(self._cuts, None)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        up = asyncio.create_task(_pump(reader, back))
        self.open[asyncio.current_task()] = [back, writer]
        try:
            while piece := await there.read(65_536 if left is None else min(left, 65_536)):
                writer.write(piece)
                await writer.drain()
                left = None if left is None else left - len(piece)
                if left == 0:
                    self.cut += 1
                    break
        except ConnectionError:
            pass
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            back.close()
            writer.close()
            del self.open[asyncio.current_task()]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def proxied(target: int, cuts: Iterator[int | None]) -> AsyncIterator[Proxy]:
    proxy = Proxy(target, cuts)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        going = dict(proxy.open)
        for writers in going.values():
            for writer in writers:
                writer.transport.abort()
        await asyncio.gather(*going)


def request(path: str, key: str, last: int = 0) -> bytes:
    seen = f"Last-Event-ID: {last}\r\n" if last else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: door\r\nAccept: text/event-stream\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\n{seen}\r\n"
    ).encode()


async def raw(port: int, asked: bytes) -> bytes:
    """Read all that comes until the connection ends, however it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    got = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            got += piece
    writer.close()
    return bytes(got)


def body_of(answer: bytes) -> bytes:
    """Take the chunks apart as far as they came."""
    _, _, rest = answer.partition(b"\r\n\r\n")
    body = b""
    while match := _CHUNK.match(rest):
        size = int(match[1], 16)
        body += rest[match.end() : match.end() + size]
        rest = rest[match.end() + size + 2 :]
    return body


def events_of(answer: bytes) -> list[dict]:
    """Read the whole events of an answer; what was cut in its middle does not count."""
    return parse_sse(body_of(answer).decode(errors="ignore"))
