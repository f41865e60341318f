"""Apart: apps of one deployment bring along what is their own, so no two of them may bring the same name."""

from collections.abc import Iterable, Mapping, Sequence

from bailiwick.app import App
from bailiwick.base import Category, Refusal


class NamedTwice(Refusal, code="named_twice", category=Category.INVALID):
    """Two apps bring along something of one name; which of them is meant, nobody could say."""

    def __init__(self, kind: str, name: str, apps: Sequence[str]) -> None:
        super().__init__(
            f"the {kind} {name!r} is brought along by {' and by '.join(apps)}",
            remedy="give it another name in one of the app files",
            kind=kind,
            name=name,
            apps=list(apps),
        )


def keep_apart(apps: Iterable[App]) -> None:
    """Let apps pass of which no two share a name, a tool, a repository or a policy file.

    Raises:
        NamedTwice: Two do.
    """
    known = tuple(apps)
    brought: dict[tuple[str, str], str] = {}
    for app in known:
        brings = {"tool": app.brings, "repository": app.repositories, "policy": app.policies}
        own = [("app", app.name), *((kind, name) for kind, names in brings.items() for name in names)]
        for kind, name in own:
            if (kind, name) in brought:
                raise NamedTwice(kind, name, (brought[kind, name], app.name))
            brought[kind, name] = app.name


def assigned(apps: Sequence[App], tenants: Mapping[str, str]) -> None:
    """Give the apps to the tenants that the settings name for them."""
    for app in apps:
        app.tenant = tenants.get(app.name, app.tenant)
