"""Globs over paths: `*` and `?` stay inside a part, `**` spans parts; matched in linear time."""

import re

import re2  # type: ignore[import-untyped]

_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANINGS = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class Globs:
    """A selection of paths: those that any of the patterns fits. Patterns may come from agents."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        text = "|".join("".join(map(_translate, _TOKENS.findall(pattern))) for pattern in patterns)
        self._compiled = re2.compile(text)

    def fits(self, path: str) -> bool:
        """Say whether a path is selected."""
        return self._compiled.fullmatch(path) is not None


def _translate(token: str) -> str:
    return _MEANINGS.get(token, re.escape(token))
