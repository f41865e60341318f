"""Policy text before any parser sees it: limits on names, size and nesting, and its division into policies."""

import re
from collections.abc import Mapping

import msgspec

from bailiwick.base import Digest, canonical, digest_of

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_FILES = 64
SCHEMA_FILE = "schema.cedarschema"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}\.cedar")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|//[^\r\n]*|[(\[{]|[)\]}]|;', re.DOTALL)
_BLANK = re.compile(r"\s+|//[^\r\n]*")
_ODD_TEXT = re.compile("[\0\ud800-\udfff]|\r(?!\n)")


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with a bundle's text.

    `policy` counts the policies of the file from 0, -1 when the finding concerns the whole file; `line`
    is where that policy begins (1-based, 0 when unknown); `id` its `@id` as far as it is known.
    """

    file: str
    problem: str
    policy: int = -1
    line: int = 0
    id: str = ""


class Piece(msgspec.Struct, frozen=True):
    """The text of one policy, and the line on which its first token stands."""

    text: str
    line: int


def precheck(files: Mapping[str, str]) -> tuple[Finding, ...]:
    """Find what must not even reach the parser: odd names, too much text, brackets too deep, NUL."""
    findings = []
    if SCHEMA_FILE not in files:
        findings.append(Finding(file=SCHEMA_FILE, problem="the bundle has no schema"))
    if len(files) > MAX_FILES:
        findings.append(Finding(file="", problem=f"{len(files)} files; at most {MAX_FILES}"))
    size = sum(len(text.encode(errors="surrogatepass")) for text in files.values())
    if size > MAX_BYTES:
        findings.append(Finding(file="", problem=f"{size} bytes of policy text; at most {MAX_BYTES}"))
        return tuple(findings)
    for name in sorted(files):
        text = files[name]
        if name != SCHEMA_FILE and not _NAME.fullmatch(name):
            findings.append(Finding(file=name[:100], problem="file names look like `payments.cedar`"))
        if _ODD_TEXT.search(text):
            problem = "the text holds NUL, a lone surrogate or a lone carriage return"
            findings.append(Finding(file=name, problem=problem))
        depth, line = _deepest(text)
        if depth > MAX_DEPTH:
            findings.append(
                Finding(file=name, line=line, problem=f"brackets {depth} deep; at most {MAX_DEPTH}")
            )
    return tuple(findings)


def version_of(files: Mapping[str, str]) -> Digest:
    """Name a bundle by its schema and policies, byte for byte."""
    return digest_of(canonical(dict(files)))


def policy_files(files: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """List the policy files of a bundle as (name, text), by name."""
    return tuple((name, files[name]) for name in sorted(files) if name != SCHEMA_FILE)


def split_policies(text: str) -> tuple[Piece, ...]:
    """Divide a file at the semicolons that stand outside strings and comments."""
    pieces: list[Piece] = []
    begin = 0
    for match in _TOKEN.finditer(text):
        if match.group() == ";":
            pieces.append(_piece(text, begin, match.end()))
            begin = match.end()
    rest = _piece(text, begin, len(text))
    return (*pieces, rest) if rest.text else tuple(pieces)


def _piece(text: str, begin: int, end: int) -> Piece:
    while match := _BLANK.match(text, begin, end):
        begin = match.end()
    return Piece(text=text[begin:end], line=text.count("\n", 0, begin) + 1)


def _deepest(text: str) -> tuple[int, int]:
    depth = deepest = place = 0
    for match in _TOKEN.finditer(text):
        mark = match.group()
        if mark in "([{":
            depth += 1
            if depth > deepest:
                deepest, place = depth, match.start()
        elif mark in ")]}":
            depth -= 1
    return deepest, text.count("\n", 0, place) + 1
