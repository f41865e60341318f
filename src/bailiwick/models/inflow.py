"""The bytes of a provider's answer, bounded before any parser holds them: its lines, its whole, and what is packed."""

import zlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

import httpx2

from bailiwick.models.lines import Reading
from bailiwick.models.monitor import MAX_ANSWER_BYTES, Interrupted, Interruption

MAX_LINE_BYTES = MAX_ANSWER_BYTES
"""The longest line of an event stream: nobody sends more in one piece than an answer may be long."""
MAX_PLAIN_BYTES = 1_048_576
"""The longest body that is no event stream: an error, in words."""
MAX_STREAM_BYTES = 64 * MAX_ANSWER_BYTES
"""The longest event stream; what stands around each token is much longer than the token."""
READING: ContextVar[Reading | None] = ContextVar("reading", default=None)
"""Who reads the answer to the request that the current task makes."""
_PIECE = 65_536
_PACKED = ("gzip", "deflate")


async def bound(response: httpx2.Response) -> None:
    """Let a response be read only as far as it may be long; an event hook of a client.

    Raises:
        Interrupted: The body is packed in a way that cannot be unpacked piece by piece.
    """
    packing = response.headers.pop("content-encoding", "identity").strip().lower()
    if packing not in ("identity", *_PACKED):
        raise Interrupted(Interruption.SIZE, f"it is packed as {packing[:40]!r}, which was not asked for")
    assert isinstance(response.stream, httpx2.AsyncByteStream), "the client is an asynchronous one"
    streamed = response.headers.get("content-type", "").lower().startswith("text/event-stream")
    most = MAX_STREAM_BYTES if streamed and response.is_success else MAX_PLAIN_BYTES
    response.stream = Bounded(response.stream, most, packed=packing in _PACKED)
    reading = READING.get()
    if reading is not None and response.is_success:
        response.stream = Rewritten(response.stream, reading)


class Rewritten(httpx2.AsyncByteStream):
    """A body in the exact form of the dialect, whatever form it comes in."""

    def __init__(self, inner: httpx2.AsyncByteStream, reading: Reading) -> None:
        self._inner = inner
        self._reading = reading
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body, rewritten as it comes."""
        if self._ended:
            return  # a client drains what may be left, and a connection that has ended is not to be read again
        async for piece in self._inner:
            for written in self._reading.feed(piece):
                yield written
        self._ended = True
        for written in self._reading.finish():
            yield written

    async def aclose(self) -> None:
        """Close the connection's side."""
        await self._inner.aclose()


class Bounded(httpx2.AsyncByteStream):
    """A body that ends with `Interrupted` where it grows too long.

    Args:
        inner: The body as it comes.
        most: How many bytes it may have, unpacked.
        packed: Whether it must be unpacked (gzip or zlib), never more than a piece at a time.
    """

    def __init__(self, inner: httpx2.AsyncByteStream, most: int, *, packed: bool) -> None:
        self._inner = inner
        self._most = most
        self._packed = packed
        self._total = 0
        self._line = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces, each looked at before it is handed on."""
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if self._packed else None
        async for chunk in self._inner:
            for piece in _unpacked(unpacker, chunk) if unpacker is not None else (chunk,):
                self._measure(piece)
                yield piece

    async def aclose(self) -> None:
        """Close the connection's side."""
        await self._inner.aclose()

    def _measure(self, piece: bytes) -> None:
        self._total += len(piece)
        if self._total > self._most:
            raise Interrupted(Interruption.SIZE, f"it takes more than {self._most} bytes on the wire")
        head, newline, _ = piece.partition(b"\n")
        if self._line + len(head) > MAX_LINE_BYTES:
            raise Interrupted(Interruption.SIZE, f"a line of it is longer than {MAX_LINE_BYTES} bytes")
        # A piece is far shorter than a line may be, so only the line that goes on beyond it is carried.
        self._line = len(piece) - piece.rfind(b"\n") - 1 if newline else self._line + len(head)


def _unpacked(unpacker: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    try:
        while chunk:
            yield unpacker.decompress(chunk, _PIECE)
            chunk = unpacker.unconsumed_tail
    except zlib.error as error:
        raise httpx2.DecodingError(f"the body is not packed as it says: {error}") from error
