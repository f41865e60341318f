"""Rendering: what people are shown of a held action, all of it made from the bytes that were hashed."""

from typing import Any

import msgspec

from bailiwick.base import escaped, hidden_in, unmistakable


class Shown(msgspec.Struct, frozen=True):
    """An action for eyes; two actions look the same only if they are the same.

    Attributes:
        action: What the platform wrote (capability, scope, environment, facts), as JSON in ASCII.
        arguments: What an agent wrote, or a plan took from outputs, as JSON in ASCII.
        artifacts: The text of each artifact that an argument names; agents write these too. What does not show
            by itself, or looks like something else, stands there by its number.
        careful: How many characters of arguments and artifacts do not show by themselves.
    """

    action: str
    arguments: str
    artifacts: dict[str, str]
    careful: int


def shown_of(action: dict[str, Any], artifacts: dict[str, str]) -> Shown:
    """Show an action that was parsed from its hashed bytes, with the artifacts that it names."""
    platform = {name: value for name, value in action.items() if name != "arguments"}
    arguments = action["arguments"]
    return Shown(
        action=escaped(platform),
        arguments=escaped(arguments),
        artifacts={name: unmistakable(text) for name, text in artifacts.items()},
        careful=sum(map(hidden_in, (*_texts(arguments), *artifacts.values()))),
    )


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for name, child in value.items() for text in (name, *_texts(child))]
        case list():
            return [text for child in value for text in _texts(child)]
        case _:
            return []
