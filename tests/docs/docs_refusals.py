"""The page of all refusals, made from their classes."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator

import bailiwick
from bailiwick.base import Category, Refusal
from bailiwick.http.problems import STATUS_OF_CATEGORY, STATUS_OF_CODE

_NOT_SHIPPED = ("bailiwick.testing", "bailiwick._examples", "bailiwick.__main__")
_AT_THE_HOST = ("bailiwick.cli", "bailiwick.wiring")
_FIELD = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[a-z_]+")
_HEAD = "| code | status | it means | what helps |\n|---|---|---|---|\n"


def refusal_table() -> str:
    """List every refusal of the product by its code: with what it is answered, what it means and what helps."""
    lines = []
    for kind in all_refusals():
        meaning = (inspect.getdoc(kind) or "").partition("\n")[0]
        lines.append(f"| `{kind.code}` | {status(kind)} | {_cell(meaning)} | {_cell(_remedy(kind))} |\n")
    return _HEAD + "".join(lines)


def all_refusals() -> list[type[Refusal]]:
    """Find the classes of the product that name a code, by that code."""
    for module in pkgutil.walk_packages(bailiwick.__path__, "bailiwick."):
        if not module.name.startswith(_NOT_SHIPPED):
            importlib.import_module(module.name)
    found = {
        kind
        for kind in _below(Refusal)
        if kind.__module__.startswith("bailiwick.") and not kind.__module__.startswith(_NOT_SHIPPED)
    }
    return sorted(
        (
            kind
            for kind in found
            if kind.code not in {base.code for base in kind.__mro__[1:] if issubclass(base, Refusal)}
        ),
        key=lambda kind: (kind.code, kind.__module__),
    )


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def status(kind: type[Refusal]) -> str:
    """Tell with what a refusal is answered over HTTP; `-` for one that is said at the host alone."""
    if kind.__module__.startswith(_AT_THE_HOST):
        return "-"
    return str(STATUS_OF_CODE.get(kind.code, STATUS_OF_CATEGORY[Category(kind.category)]))


def _remedy(kind: type[Refusal]) -> str:
    """Read what helps: the class's template, or what its constructor says in its place."""
    if isinstance(template := getattr(kind, "remedy", None), str):
        return _named(template)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if isinstance(node, ast.keyword) and node.arg == "remedy":
            value = node.value
            if isinstance(value, ast.Constant | ast.JoinedStr):
                return _named(ast.unparse(value).lstrip("f").strip("'\""))
    return "the answer's `remedy` says it"


def _named(template: str) -> str:
    return _FIELD.sub(lambda field: _NAME.findall(field[1].partition("!")[0])[-1].upper(), template)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
