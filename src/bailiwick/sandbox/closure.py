"""The closure: a few installed distributions, with everything that they require on this machine."""

from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bailiwick.base import Category, Refusal


class NotInstalled(Refusal, code="not_installed", category=Category.UNAVAILABLE):
    """The sandbox's runtime needs a distribution that this environment does not have."""

    distribution: str
    says = "{distribution} is not installed beside bailiwick"
    remedy = "install {distribution} into the same environment"


def closure(roots: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Find the roots and all that they require here, extras included, by normalised name, sorted.

    Raises:
        NotInstalled: One of them is missing.
    """
    found: dict[str, metadata.Distribution] = {}
    open_ends: list[tuple[str, frozenset[str]]] = [(name, frozenset()) for name in roots]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_ends:
        end = open_ends.pop()
        if end in seen:
            continue
        seen.add(end)
        name, extras = canonicalize_name(end[0]), end[1]
        if name not in found:
            try:
                found[name] = metadata.distribution(name)
            except metadata.PackageNotFoundError as error:
                raise NotInstalled(distribution=name) from error
        for line in found[name].requires or ():
            required = Requirement(line)
            if _applies(required, extras):
                open_ends.append((required.name, frozenset(required.extras)))
    return dict(sorted(found.items()))


def _applies(required: Requirement, extras: frozenset[str]) -> bool:
    if required.marker is None:
        return True
    return any(required.marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras)))
