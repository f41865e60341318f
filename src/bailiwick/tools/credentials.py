"""Credentials: named by reference, resolved in the host at the moment of use, and kept out of all that leaves it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import re2  # type: ignore[import-untyped]

from bailiwick.base import Category, Json, Long, Refusal
from bailiwick.ports import FrameSink
from bailiwick.tools.disguises import MIN_LENGTH, literal_forms, longest, patterns, unpacked

MAX_BYTES = 65_536
MASK = "[credential]"
_ESCAPE = re.compile(r"[\\%&=\0]")
_REFERENCE = re.compile(r"env:(?P<name>[A-Za-z_][A-Za-z0-9_]{0,127})\Z|file:(?P<path>/[^\0]{1,1023})\Z")


_OPTIONS = re2.Options()
_OPTIONS.max_mem = 64 * 1_048_576  # each value has a few thousand states


class CredentialRefused(Refusal, code="credential_refused", category=Category.FORBIDDEN):
    """A credential cannot be handed to a tool; its value is never part of the message."""

    reference: Long
    reason: str
    says = "the credential {reference!r} is not handed out: {reason}"
    remedy = "list env:NAME or file:/path in the contract's credentials and set it where the host runs"


class Secret:
    """A credential's value; it shows itself only to `reveal`."""

    __slots__ = ("_reference", "_value")

    def __init__(self, reference: str, value: str) -> None:
        self._reference = reference
        self._value = value

    def reveal(self) -> str:
        """Hand out the value, for use in a request; do not keep it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self._reference!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not serialised")


class Redactor:
    """Replaces the values that this host has issued, in each form in which they travel.

    Forms: as is; escaped as JSON, programs, URLs, HTML and mail do, also several times over; UTF-16 and UTF-32;
    hexadecimal and base64 (both alphabets, at each of the three alignments, so also inside `user:secret`, and in
    lines); packed by gzip or zlib; and the single lines of a value with many.
    """

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._escapes: set[str] = set()
        self._pattern: re2._Regexp | None = None
        self._longest = 0

    def issue(self, value: str) -> None:
        """Learn a value that is about to be used."""
        forms = literal_forms(value)
        if forms <= self._forms:
            return
        self._forms |= forms
        self._escapes |= set(patterns(value))
        self._longest = max(self._longest, longest(value))
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        ways = [*map(re2.escape, longest_first), *sorted(self._escapes)]
        self._pattern = re2.compile("|".join(ways), _OPTIONS)

    def text(self, text: str) -> str:
        """Replace every issued value in a text; linear in its length."""
        if self._pattern is None:
            return text
        masked = str(self._pattern.sub(MASK, _encodable(text)))
        packed = sorted((start, end) for start, end, held in unpacked(masked) if self._holds(held))
        for start, end in reversed(packed):
            masked = masked[:start] + MASK + masked[end:]
        return masked if masked != _encodable(text) else text

    def _holds(self, text: str, depth: int = 1) -> bool:
        assert self._pattern is not None, "something was issued"
        if self._pattern.search(text) is not None:
            return True
        return any(self._holds(held, depth + 1) for _, _, held in unpacked(text, depth))

    def json(self, value: Json) -> Json:
        """Replace every issued value in a JSON value, keys included."""
        if not self._pattern:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self.json(child) for key, child in value.items()}
            case list() | tuple():
                return [self.json(child) for child in value]
            case _:
                return value

    def pending(self, text: str) -> int:
        """Count the characters at the end of a text that may be the beginning of an issued value."""
        if not self._forms:
            return 0
        escape = _ESCAPE.search(text, max(len(text) - self._longest, 0))
        if escape is not None:
            return len(text) - escape.start()
        known = min(max(map(len, self._forms)) - 1, len(text))
        for length in range(known, 0, -1):
            end = text[-length:]
            if any(form.startswith(end) for form in self._forms):
                return length
        return 0


class RedactedFrames:
    """A sink that redacts frames, also a value that is cut in two by the border of two text frames."""

    def __init__(self, sink: FrameSink, redactor: Redactor) -> None:
        self._sink = sink
        self._redactor = redactor
        self._held = ""
        self._type: Json = None

    def __call__(self, frame: dict[str, Any]) -> None:
        """Take a frame and pass on what is certain to hold no value."""
        text = frame.get("text")
        if frame.keys() != {"type", "text"} or not isinstance(text, str):
            self.flush()
            self._sink(self._redactor.json(frame))
            return
        if frame["type"] != self._type:
            self.flush()
            self._type = frame["type"]
        text = self._redactor.text(self._held + text)
        keep = self._redactor.pending(text)
        self._held = text[len(text) - keep :]
        if len(text) > keep:
            self._sink({"type": self._type, "text": text[: len(text) - keep]})

    def flush(self) -> None:
        """Pass on what was held back; called when the stream ends."""
        if self._held:
            self._sink({"type": self._type, "text": self._held})
            self._held = ""


class Credentials:
    """Resolves references on this host.

    Args:
        environment: The variables that `env:NAME` reads, looked up anew each time.
        redactor: Learns each value before it is handed out.
    """

    def __init__(self, environment: Mapping[str, str], redactor: Redactor) -> None:
        self._environment = environment
        self._redactor = redactor

    def resolve(self, reference: str, *, allowed: tuple[str, ...]) -> Secret:
        """Read a credential that a contract lists.

        Raises:
            CredentialRefused: Not listed, malformed, absent, too short to be kept out of outputs, too long.
        """
        match = _REFERENCE.match(reference)
        if match is None or reference not in allowed:
            raise CredentialRefused(reference, "the contract does not list it, or it is no reference")
        value = self._environment.get(match["name"]) if match["name"] else _read(Path(match["path"]))
        if value is None:
            raise CredentialRefused(reference, "it is not set on this host")
        if not MIN_LENGTH <= len(value) <= MAX_BYTES:
            raise CredentialRefused(reference, f"it has not between {MIN_LENGTH} and {MAX_BYTES} characters")
        self._redactor.issue(value)
        return Secret(reference, value)


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 2).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return None


def _encodable(text: str) -> str:
    """Spell halves of surrogate pairs as question marks: the search is one of UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
