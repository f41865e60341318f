"""The events of a stream, from its bytes however they are cut; or its whole body, where it is no event stream."""

import re
from collections.abc import Callable, Iterator

from bailiwick.models.chunks import Misspoken, Normaliser, plain
from bailiwick.models.monitor import MAX_ANSWER_BYTES, Interrupted, Interruption

_FIELD = re.compile(rb"(data|event|id|retry)?:|(data|event|id|retry)[\r\n]")
_LONGEST_FIELD = 6
_BOM = b"\xef\xbb\xbf"


class Reading:
    """One answer on its way: bytes as they come in, bytes of the exact dialect out.

    Args:
        heard: Called for whatever comes; also a comment says that the provider is alive.
        most_plain: The most bytes of a body that is no event stream.
    """

    def __init__(self, heard: Callable[[], None], most_plain: int) -> None:
        self.normaliser = Normaliser()
        self._heard = heard
        self._most_plain = most_plain
        self._held: list[bytes] = []
        self._streams: bool | None = None
        self._data: list[str] = []
        self._kind = ""
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take the next bytes.

        Raises:
            Stated: They say that the provider failed.
            Misspoken: They are nothing that the dialect knows.
            Interrupted: A body that is no event stream is too long, or an event is.
        """
        self._heard()
        self._held.append(piece)
        if self._streams is None:
            self._look()
        if self._streams is None:
            return
        if not self._streams:
            self._size += len(piece)
            if self._size > self._most_plain:
                raise Interrupted(
                    Interruption.SIZE, f"it takes more than {self._most_plain} bytes on the wire"
                )
            return
        if b"\n" in piece or b"\r" in piece or len(self._held) == 1:
            lines = b"".join(self._held).splitlines(keepends=True)
            # A line is whole once its end is; a carriage return may be half of one.
            rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            self._held = [rest] if rest else []
            for line in lines:
                yield from self._line(line.rstrip(b"\r\n"))

    def finish(self) -> Iterator[bytes]:
        """Take the end of the bytes; see `feed`."""
        rest = b"".join(self._held)
        if self._streams:
            for line in rest.splitlines():
                yield from self._line(line)
            yield from self._line(b"")
            yield from self.normaliser.end()
        elif not rest.strip():
            raise Misspoken("the provider answered 200 with an empty body")
        else:
            yield from plain(rest.decode("utf-8", "replace"), self.normaliser)

    def _look(self) -> None:
        """Decide by its first line what the body is; what its header calls it is often wrong."""
        begun = b"".join(self._held).removeprefix(_BOM).lstrip()
        self._held = [begun] if begun else []
        if _FIELD.match(begun):
            self._streams = True
        elif len(begun) >= _LONGEST_FIELD:
            self._streams, self._size = False, 0

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line:
            name, _, value = line.decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._size += len(value)
                self._data.append(value)
                if self._size > MAX_ANSWER_BYTES:
                    raise Interrupted(
                        Interruption.SIZE, f"an event of it is longer than {MAX_ANSWER_BYTES} bytes"
                    )
            elif name == "event":
                self._kind = value
            return
        data, kind = "\n".join(self._data), self._kind
        self._data, self._kind, self._size = [], "", 0
        if data:
            yield from self.normaliser.event(data, kind)
