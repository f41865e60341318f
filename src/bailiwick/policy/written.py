"""What an action writes, read from its bytes: the files of a patch, of a workspace, or behind a forge's API."""

from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick.contract import Contract, WorkspaceUse
from bailiwick.policy.forges import Written, forge_writes

_PATH_ARGUMENTS = ("path", "paths", "file", "files", "from", "to", "source", "target", "destination")


def written_by(contract: Contract, arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> Written:
    """Name the files that an action would change, and what it means beyond them.

    A pure function of what is hashed, so that whoever asks again, a replay too, sees the same. A tool that
    changes the workspace names its files in arguments that are called so; a tool that calls out over HTTP is
    read as a forge's API would read it.
    """
    paths = [str(path) for path in facts.get("paths", ())]
    if contract.workspace is WorkspaceUse.WRITES:
        paths += [path for name in _PATH_ARGUMENTS for path in _texts(arguments.get(name))]
    classes: tuple[str, ...] = ()
    if "url_path" in facts:
        forge = forge_writes(
            str(facts.get("method", "")), str(facts["url_path"]), str(arguments.get("body", ""))
        )
        paths += forge.paths
        classes = forge.classes
    return Written(tuple(dict.fromkeys(paths)), classes)


def _texts(value: Any) -> Iterator[str]:
    """List the paths in an argument: one, a list of them, or a mapping from them to contents."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each.get("path") if isinstance(each, dict) else each)
    elif isinstance(value, dict):
        yield from value
