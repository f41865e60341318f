"""What a tree declares that it depends on: the names in its requirement files, and the files that hold them."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any

_REQUIREMENTS = re.compile(
    r"(?:.*/)?(?:requirements|constraints)[^/]*\.(?:txt|in)\Z|(?:.*/)?requirements/[^/]+\.(?:txt|in)\Z"
)
_PYPROJECT = re.compile(r"(?:.*/)?pyproject\.toml\Z")
_OPAQUE = re.compile(
    r"(?:.*/)?(?:setup\.(?:py|cfg)|Pipfile(?:\.lock)?|[^/]*\.lock|environment\.ya?ml|package(?:-lock)?\.json"
    r"|pnpm-lock\.yaml|go\.(?:mod|sum)|Cargo\.toml|Gemfile|[^/]*\.(?:pth|so|pyd|dll|dylib|whl|egg|pyc|zip|jar))\Z"
)
_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def is_manifest(path: str) -> bool:
    """Whether a file lists dependencies in a form that `declared` reads."""
    return bool(_REQUIREMENTS.match(path) or _PYPROJECT.match(path))


def is_opaque(path: str) -> bool:
    """Whether a file may bring in dependencies in a form that is not read here (locks, binaries, other tools)."""
    return bool(_OPAQUE.match(path))


def declared(path: str, body: bytes) -> tuple[str, ...] | None:
    """List the dependencies that a manifest declares, sorted; None when it cannot be read.

    A plain requirement is its normalized name; what also says where to fetch it from (an address, a
    path, an option of pip) is kept as it stands, so that a changed source shows as a new dependency.
    """
    try:
        text = body.decode("utf-8-sig")
        entries = _from_toml(tomllib.loads(text)) if _PYPROJECT.match(path) else _from_lines(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return None
    return tuple(sorted({_named(entry) for entry in entries}))


def _from_lines(text: str) -> Iterable[str]:
    for line in text.replace("\\\n", " ").splitlines():
        entry = re.sub(r"(?:^|\s)#.*", "", line).strip()
        if entry and not entry.startswith("--hash"):
            yield entry


def _from_toml(document: dict[str, Any]) -> list[str]:
    project = _table(document, "project")
    tool = _table(document, "tool")
    poetry = _table(tool, "poetry")
    entries = _strings(project.get("dependencies"))
    entries += _strings(project.get("optional-dependencies"))
    entries += _strings(document.get("dependency-groups"))
    entries += _strings(_table(document, "build-system").get("requires"))
    for group in (poetry, *(_table(_table(poetry, "group"), name) for name in _table(poetry, "group"))):
        entries += list(_table(group, "dependencies")) + list(_table(group, "dev-dependencies"))
    for owner, name in (
        ("uv", "dev-dependencies"),
        ("uv", "sources"),
        ("pdm", "dev-dependencies"),
        ("hatch", "envs"),
    ):
        value = _table(tool, owner).get(name)
        entries += (
            _strings(value) if name.endswith("dependencies") else [f"{owner} {name} {value}"] if value else []
        )
    return entries


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _strings(item)]
        case dict():
            return [text for item in value.values() for text in _strings(item)]
        case _:
            return []


def _named(entry: str) -> str:
    match = _NAME.match(entry)
    if match is None or "@" in entry or "://" in entry or entry.startswith((".", "/", "-")) or " = " in entry:
        return " ".join(entry.split())
    if entry.startswith(("uv ", "hatch ", "pdm ")):
        return entry
    return re.sub(r"[-_.]+", "-", match[1]).lower()
