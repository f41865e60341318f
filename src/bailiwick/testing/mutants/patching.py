"""Patching: how a mutant takes the place of a function or of a term of SQL, for the length of a `with`."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bailiwick.stores.sqlite.statements import SQL


@contextlib.contextmanager
def method(owner: type, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put what `make` makes of a method in its place."""
    original = vars(owner)[name]
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextlib.contextmanager
def function(original: Callable[..., Any], replacement: Callable[..., Any]) -> Iterator[None]:
    """Put a function in another's place, wherever that was imported to."""
    places: list[tuple[Any, str]] = []
    for name, module in list(sys.modules.items()):
        if name.startswith("bailiwick.") and module is not None and ".testing" not in name:
            places += [(module, key) for key, value in vars(module).items() if value is original]
    if not places:
        raise LookupError(f"{original.__qualname__} is nowhere to be found")
    for module, key in places:
        setattr(module, key, replacement)
    try:
        yield
    finally:
        for module, key in places:
            setattr(module, key, original)


@contextlib.contextmanager
def term(statement: str, wanted: str, instead: str) -> Iterator[None]:
    """Change a term of a SQL statement."""
    original = SQL[statement]
    if wanted not in original:
        raise LookupError(f"{statement} has no {wanted!r}")
    SQL[statement] = original.replace(wanted, instead)
    try:
        yield
    finally:
        SQL[statement] = original
