"""The beginning of a JSON answer: read as it streams, and given up as soon as nothing can make it fit its schema."""

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_SPACE = re.compile(r"[ \t\r\n]+")
_SCALAR = re.compile(r"[-+.0-9A-Za-z]+")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_DIGITS = re.compile(r"-?[0-9]*\.?[0-9]*([eE][-+]?[0-9]*)?\Z")
_MAX_DEPTH = 100
_HEX = 4


class Misfit(Exception):
    """No ending can make the text fit. The message names the place and the schema's wish, never the content."""


class _Open:
    """An object or array that is not closed yet: its schema, its place, and what of it has come."""

    __slots__ = ("index", "key", "keys", "kind", "place", "schema")

    def __init__(self, kind: str, schema: Mapping[str, Any], place: str) -> None:
        self.kind = kind
        self.schema = schema
        self.place = place
        self.keys: set[str] = set()
        self.key = ""
        self.index = 0

    def inner(self) -> tuple[Mapping[str, Any], str]:
        """Find the schema and the place of the value that comes next."""
        if self.kind == "array":
            return _schema(self.schema.get("items")), f"{self.place}/{self.index}"
        properties = self.schema.get("properties", {})
        if self.key in properties:
            return _schema(properties[self.key]), f"{self.place}/{self.key}"
        return {}, f"{self.place}/…"


class SchemaPrefix:
    """Reads one JSON text piece by piece and holds it to a schema as far as its beginning tells.

    Checked are syntax, doubled members, `type`, `enum`, `const`, `required`, `properties`, `items` and
    `additionalProperties: false`; all else is left to whoever judges the whole answer. So whatever is given
    up here would have been refused there.

    Args:
        schema: A JSON Schema.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._open: list[_Open] = []
        self._expect = "value"
        self._token = ""
        self._text: list[str] = []
        self._wish: list[str] | None = None

    def feed(self, piece: str) -> None:
        """Read the next piece.

        Raises:
            Misfit: The text cannot fit any more.
        """
        at = 0
        while at < len(piece):
            match self._expect:
                case "string" | "key-text":
                    at = self._in_string(piece, at)
                case "escape":
                    at = self._in_escape(piece, at)
                case "scalar":
                    at = self._in_scalar(piece, at)
                case _:
                    space = _SPACE.match(piece, at)
                    if space is not None:
                        at = space.end()
                        continue
                    at = self._between(piece[at], at)

    @property
    def complete(self) -> bool:
        """Whether the text is one whole object or array, so that nothing can follow it."""
        return self._expect == "end"

    def _between(self, char: str, at: int) -> int:
        match self._expect, char:
            case "value" | "value-or-end", "]" if self._expect == "value-or-end":
                self._close()
            case "value" | "value-or-end", _:
                return self._begin(char, at)
            case "key-or-end" | "comma-or-end", "}" if self._open[-1].kind == "object":
                self._close()
            case "comma-or-end", "]" if self._open[-1].kind == "array":
                self._close()
            case "comma-or-end", ",":
                self._expect = "key" if self._open[-1].kind == "object" else "value"
                self._open[-1].index += 1
            case "key" | "key-or-end", '"':
                self._expect, self._text, self._wish = "key-text", [], None
            case "colon", ":":
                self._expect = "value"
            case _:
                raise Misfit(f"it is no JSON at {self._place()}")
        return at + 1

    def _begin(self, char: str, at: int) -> int:
        schema, place = self._inner()
        kind = _kind_of(char)
        if kind is None:
            raise Misfit(f"it is no JSON at {place or '/'}")
        _require_kind(schema, kind, place)
        match kind:
            case "object" | "array":
                if len(self._open) >= _MAX_DEPTH:
                    raise Misfit(f"it is nested too deep at {place[:80]}")
                self._open.append(_Open(kind, schema, place))
                self._expect = "key-or-end" if kind == "object" else "value-or-end"
            case "string":
                listed = _listed(schema)
                self._wish = None if listed is None else [each for each in listed if isinstance(each, str)]
                self._expect, self._text = "string", []
            case _:
                self._expect, self._token = "scalar", ""
                return at
        return at + 1

    def _in_string(self, piece: str, at: int) -> int:
        plain = _PLAIN.match(piece, at)
        if plain is not None:
            self._grow(plain.group())
            return plain.end()
        match piece[at]:
            case '"':
                self._end_string()
            case "\\":
                self._token = "key-text" if self._expect == "key-text" else "string"
                self._token += ":"
                self._expect = "escape"
            case _:
                raise Misfit(f"it is no JSON at {self._place()}: a control character in a string")
        return at + 1

    def _in_escape(self, piece: str, at: int) -> int:
        back, _, begun = self._token.partition(":")
        begun += piece[at]
        if begun[0] != "u" and begun not in _ESCAPES:
            raise Misfit(f"it is no JSON at {self._place()}: an unknown escape")
        whole = begun in _ESCAPES or len(begun) == _HEX + 1
        if begun[0] == "u" and not all(char in "0123456789abcdefABCDEF" for char in begun[1:]):
            raise Misfit(f"it is no JSON at {self._place()}: an unknown escape")
        if not whole:
            self._token = f"{back}:{begun}"
            return at + 1
        self._expect = back
        self._grow(_ESCAPES[begun] if begun in _ESCAPES else chr(int(begun[1:], 16)))
        return at + 1

    def _grow(self, text: str) -> None:
        if self._expect == "string" and self._wish is None:
            return  # nothing depends on what it says
        self._text.append(text)
        if self._wish is not None:
            said = _joined(self._text)
            # Half of a pair of surrogates is no beginning of anything until the other half has come.
            half = "\ud800" <= said[-1:] <= "\udbff"
            if not half and not any(each.startswith(said) for each in self._wish):
                raise Misfit(f"at {self._place()} is none of the values that the schema lists")

    def _end_string(self) -> None:
        said = _joined(self._text)
        if self._expect == "key-text":
            self._name(said)
            return
        if self._wish is not None and said not in self._wish:
            raise Misfit(f"at {self._place()} is none of the values that the schema lists")
        self._done()

    def _name(self, key: str) -> None:
        current = self._open[-1]
        if key in current.keys:
            raise Misfit(f"a member of {current.place or '/'} comes twice")
        known = current.schema.get("properties", {})
        closed = (
            current.schema.get("additionalProperties") is False and "patternProperties" not in current.schema
        )
        if closed and key not in known:
            raise Misfit(f"{current.place or '/'} has a member that is none of: {', '.join(known)}")
        current.keys.add(key)
        current.key = key
        self._expect = "colon"

    def _in_scalar(self, piece: str, at: int) -> int:
        more = _SCALAR.match(piece, at)
        if more is not None:
            self._token += more.group()
            word = any(word.startswith(self._token) for word in _WORDS)
            if not word and not _DIGITS.match(self._token):
                raise Misfit(f"it is no JSON at {self._place()}")
            return more.end()
        self._end_scalar()
        return at

    def _end_scalar(self) -> None:
        if self._token in _WORDS:
            value = _WORDS[self._token]
        elif _NUMBER.match(self._token):
            value = json.loads(self._token)
        else:
            raise Misfit(f"it is no JSON at {self._place()}")
        schema, place = self._inner()
        listed = _listed(schema)
        if listed is not None and not any(_same(value, each) for each in listed):
            raise Misfit(f"at {place or '/'} is none of the values that the schema lists")
        whole = isinstance(value, bool) or not isinstance(value, float) or value.is_integer()
        if not whole and "number" not in _types(schema) and "integer" in _types(schema):
            raise Misfit(f"{place or '/'} is no integer")
        self._done()

    def _close(self) -> None:
        closed = self._open.pop()
        if closed.kind == "object":
            missing = [name for name in closed.schema.get("required", ()) if name not in closed.keys]
            if missing:
                raise Misfit(f"{closed.place or '/'} ends without: {', '.join(missing)}")
        self._done()

    def _done(self) -> None:
        self._expect = "comma-or-end" if self._open else "end"

    def _inner(self) -> tuple[Mapping[str, Any], str]:
        return self._open[-1].inner() if self._open else (self._root, "")

    def _place(self) -> str:
        return (self._open[-1].place if self._open else "") or "/"


def _kind_of(char: str) -> str | None:
    match char:
        case "{":
            return "object"
        case "[":
            return "array"
        case '"':
            return "string"
        case "t" | "f":
            return "boolean"
        case "n":
            return "null"
        case _:
            return "number" if char == "-" or char in "0123456789" else None


def _schema(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _require_kind(schema: Mapping[str, Any], kind: str, place: str) -> None:
    types = _types(schema)
    fits = not types or kind in types or (kind == "number" and "integer" in types)
    if not fits:
        raise Misfit(f"{place or '/'} is no {' or '.join(types)}")
    listed = _listed(schema)
    if listed is not None and not any(_kind_of(json.dumps(each)[0]) == kind for each in listed):
        raise Misfit(f"at {place or '/'} is none of the values that the schema lists")


def _listed(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _same(value: object, other: object) -> bool:
    return value == other and isinstance(value, bool) is isinstance(other, bool)


def _joined(parts: list[str]) -> str:
    """Put a text together; two escapes of surrogates are one character."""
    text = "".join(parts)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") if text else text
