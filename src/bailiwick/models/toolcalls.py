"""The tool calls of one answer: told apart by their ids and names, put together from pieces, none merged, none lost."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from bailiwick.models.prefix import Misfit, SchemaPrefix

_UNNAMED = "unnamed"


class PartialCall:
    """One call as far as it has come. `index` is its place among the calls of the answer, in order of appearance."""

    __slots__ = ("_read", "id", "index", "key", "name", "pieces", "size", "told")

    def __init__(self, index: int, key: object, told: str) -> None:
        self.index = index
        self.key = key
        self.told = told
        self.id = told or f"call_{uuid4().hex}"
        self.name = ""
        self.pieces: list[str] = []
        self.size = 0
        self._read: SchemaPrefix | None = SchemaPrefix({})

    def grow(self, piece: str) -> None:
        """Take the next piece of the arguments."""
        self.pieces.append(piece)
        self.size += len(piece)
        if self._read is not None:
            try:
                self._read.feed(piece)
            except Misfit:
                self._read = None

    def repeated_by(self, piece: str) -> bool:
        """Whether a piece only says once more what has come."""
        return len(piece) == self.size and piece == "".join(self.pieces)

    @property
    def arguments(self) -> str:
        """The arguments as text: the pieces joined, or the last one where each repeated all before it."""
        joined = "".join(self.pieces)
        if len(self.pieces) > 1 and not _is_json(joined) and _is_json(self.pieces[-1]):
            return self.pieces[-1]
        return joined

    @property
    def whole(self) -> bool:
        """Whether its arguments are complete, so that more would not belong to it."""
        return self._read is not None and self._read.complete


class ToolCalls:
    """Collects the calls of one answer."""

    def __init__(self) -> None:
        self.calls: list[PartialCall] = []

    def take(self, raw: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take one piece as a provider wrote it.

        Returns:
            The piece in the dialect's exact form, with an index of its own for each call; None when it only
            repeats what came before.
        """
        function = raw.get("function")
        function = function if isinstance(function, dict) else raw
        told, name, piece = _text(raw.get("id")), _text(function.get("name")), _arguments(function)
        call = self._owner(raw.get("index"), told, name, piece)
        if call is not None:
            return self._more(call, name, piece)
        call = PartialCall(len(self.calls), raw.get("index"), told if self._free(told) else "")
        self.calls.append(call)
        call.name = name
        if piece:
            call.grow(piece)
        head = {"name": name or _UNNAMED, "arguments": piece}
        return {"index": call.index, "id": call.id, "type": "function", "function": head}

    def _owner(self, key: object, told: str, name: str, piece: str) -> PartialCall | None:
        """Find the call that a piece goes on with; None when it begins one."""
        known = next((call for call in reversed(self.calls) if told and call.told == told), None)
        if known is not None:
            another = name and piece and known.whole and not known.repeated_by(piece)
            return None if another else known
        placed = [call for call in self.calls if key is None or call.key == key]
        if not placed:
            return self.calls[-1] if self.calls and key is None and not told and not name else None
        last = placed[-1]
        if told and not last.told and not last.name:
            last.told = told
            return last
        if told and name and (last.told or last.whole):
            return None
        return None if name and last.name and (last.whole or (key is None and name != last.name)) else last

    def _more(self, call: PartialCall, name: str, piece: str) -> dict[str, Any] | None:
        if name and name != call.name:
            call.name = name if name.startswith(call.name) or call.pieces else call.name + name
        if not piece or (call.whole and call.repeated_by(piece)):
            return None
        call.grow(piece)
        return {"index": call.index, "function": {"arguments": piece}}

    def _free(self, told: str) -> bool:
        return bool(told) and all(call.id != told for call in self.calls)


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _arguments(function: Mapping[str, Any]) -> str:
    """Read arguments; a provider that sends them as an object, not as its text, means the same."""
    value = function.get("arguments", function.get("input"))
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict | list) else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
