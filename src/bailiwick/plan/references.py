"""References: how a step's input names what the run already knows (`$.steps.draft.output.text`)."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from bailiwick.base import Category, Json, Refusal, Short, canonical
from bailiwick.plan.reader import child

ROOTS = ("intent", "context", "brief", "steps", "previous")
MAX_REFERENCE = 500

_PART = r"(?:\.[A-Za-z_][A-Za-z0-9_-]*|\[\d{1,6}\])"
_REFERENCE = re.compile(rf"\$\.(?P<root>[a-z]+)(?P<path>{_PART}*)(?P<optional>\??)\Z")
_PARTS = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,6})\]")
_HOLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


class InvalidTemplate(Refusal, code="invalid_template", category=Category.INVALID):
    """A string begins like a reference but is none."""

    text: Short
    reason: str
    pointer: str = ""
    says = "{text!r} is not a reference: {reason}"
    remedy = (
        "write $.intent…, $.context.<id>…, $.brief…, $.steps.<id>.output…, $.steps.<id>.status, or in a "
        "loop $.previous.<id>.output…? for the turn before; a compensation reads its own step's "
        "$.steps.<id>.input… too; a text that begins with '$.' is written '$$.'"
    )


class UnresolvedReference(Refusal, code="unresolved_reference", category=Category.INVALID):
    """A reference leads to nothing in what the run knows, or to something that does not fit its place."""

    def __init__(self, text: str, reason: str, pointer: str) -> None:
        super().__init__(
            f"{text[:120]} does not resolve: {reason}",
            remedy="correct the reference, or end it with '?' where null will do",
            reference=text[:120],
            reason=reason,
            pointer=pointer,
        )


class Reference(msgspec.Struct, frozen=True):
    """A place in what the run knows. An optional one (written with `?` at its end) yields null when nothing is there."""

    root: str
    path: tuple[str | int, ...]
    optional: bool = False

    @property
    def step(self) -> str:
        """The id of the step that it reads; empty for the roots that are no steps."""
        return str(self.path[0]) if self.root in ("steps", "previous") else ""

    def __str__(self) -> str:
        parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return f"$.{self.root}{parts}{'?' if self.optional else ''}"


class Located(msgspec.Struct, frozen=True):
    """A reference and the string it stands in; `whole` when it is all of that string."""

    pointer: str
    reference: Reference
    whole: bool


def parse_reference(text: str) -> Reference:
    """Read one reference.

    Raises:
        InvalidTemplate: Not a reference, or of an unknown root or form.
    """
    match = _REFERENCE.match(text) if len(text) <= MAX_REFERENCE else None
    if match is None:
        raise InvalidTemplate(text, "its form is $.root.name[0].name")
    path = tuple(int(index) if index else name for name, index in _PARTS.findall(match["path"]))
    reference = Reference(match["root"], path, bool(match["optional"]))
    if reference.root not in ROOTS:
        raise InvalidTemplate(text, f"it begins at one of {', '.join(ROOTS)}")
    if reference.root == "context" and not (path and isinstance(path[0], str)):
        raise InvalidTemplate(text, "the id of a context item is missing")
    if reference.root in ("steps", "previous") and not _reads_a_step(path):
        raise InvalidTemplate(text, f"a step is read as $.{reference.root}.<id>.output… or ….status")
    return reference


def _reads_a_step(path: tuple[str | int, ...]) -> bool:
    if len(path) < 2 or not isinstance(path[0], str):
        return False
    return path[1] in ("input", "output") or path[1:] == ("status",)


def references_in(template: Json, pointer: str = "") -> tuple[Located, ...]:
    """List the references of a template in document order.

    Raises:
        InvalidTemplate: A string in it begins like a reference but is none.
    """
    return tuple(_scan(template, pointer))


def _scan(template: Json, pointer: str) -> Iterator[Located]:
    match template:
        case str() if template.startswith("$."):
            yield Located(pointer, _parse_at(template, pointer), whole=True)
        case str() if "${" in template:
            for hole in _HOLE.finditer(template):
                if hole[1] is not None:
                    yield Located(pointer, _parse_at(hole[1], pointer), whole=False)
        case dict():
            for name, value in template.items():
                yield from _scan(value, child(pointer, name))
        case list():
            for at, value in enumerate(template):
                yield from _scan(value, child(pointer, at))
        case _:
            return


def _parse_at(text: str, pointer: str) -> Reference:
    try:
        return parse_reference(text)
    except InvalidTemplate as refusal:
        raise InvalidTemplate(text, str(refusal.facts["reason"]), pointer) from refusal


def resolve(template: Json, values: Mapping[str, Json], pointer: str = "") -> Json:
    """Replace the references in a template by what they name.

    A string that is one reference becomes the value; `${$.x.y}` inside a longer string becomes the
    text of a scalar. What is put in is never read as a template again.

    Args:
        template: JSON, for example a node's `input`.
        values: Under `intent`, `context`, `brief`, `steps` and `previous` (both: id -> {"output", "status"},
            and "input" of the step that a compensation undoes; `previous` is the turn before of the innermost loop).
        pointer: Where the template lies; it leads the place that a refusal names.

    Raises:
        UnresolvedReference: Nothing is there (and no `?` allows it), or a list or object in a text.
        InvalidTemplate: A string begins like a reference but is none.
    """
    match template:
        case str() if template.startswith("$."):
            return look_up(_parse_at(template, pointer), values, pointer)
        case str():
            return _fill(template, values, pointer)
        case dict():
            return {name: resolve(value, values, child(pointer, name)) for name, value in template.items()}
        case list():
            return [resolve(value, values, child(pointer, at)) for at, value in enumerate(template)]
        case _:
            return template


def look_up(reference: Reference, values: Mapping[str, Json], pointer: str = "") -> Json:
    """Find what one reference names.

    Raises:
        UnresolvedReference: Nothing is there, and the reference is not optional.
    """
    found: Json = values.get(reference.root)
    walked = f"$.{reference.root}"
    for part in reference.path:
        if isinstance(part, int):
            present = isinstance(found, list) and part < len(found)
        else:
            present = isinstance(found, Mapping) and part in found
        if not present:
            if reference.optional:
                return None
            raise UnresolvedReference(str(reference), f"{walked} has no {part!r}", pointer)
        found = found[part]
        walked = f"{walked}[{part}]" if isinstance(part, int) else f"{walked}.{part}"
    return found


def _fill(template: str, values: Mapping[str, Json], pointer: str) -> str:
    if template.startswith("$$."):
        template = template[1:]
    if "${" not in template:
        return template

    def put(hole: re.Match[str]) -> str:
        if hole[1] is None:
            return "${"
        reference = _parse_at(hole[1], pointer)
        found = look_up(reference, values, pointer)
        if isinstance(found, str):
            return found
        if found is None and reference.optional:
            return ""
        if found is None or isinstance(found, dict | list):
            raise UnresolvedReference(
                str(reference), "only text, a number or a boolean fits into a text", pointer
            )
        return canonical(found).decode()

    return _HOLE.sub(put, template)
