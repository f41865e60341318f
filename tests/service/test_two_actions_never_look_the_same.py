"""Whatever an action holds, its page and its digest say the same: two actions that look the same are the same."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import canonical, digest_of, escaped, parse_canonical, unmistakable
from bailiwick.service import shown_of

HOSTILE = (
    *("a", "A", "\u0430", "\uff41", "\u03b1", "an", "\u0061\u0301", "\u00e1", "e\u0301", "\u00e9"),
    *("\u202e", "\u2066", "\u200b", "\u200d", "\u00ad", "\ufeff", "\u3164", "\ufe0f", "\U000e0041"),
    *(
        "\\",
        "\\u{202e}",
        "\\u{5c}",
        "\\u",
        "u{",
        "{",
        "}",
        "\\u202e",
        "\x1b[2J",
        "\x07",
        "\r",
        "\n",
        "\t",
        " ",
    ),
    *("\u00a0", "\u2028", "1", "true", "null", '"', "'", "/", "\u2044", "\ufb01", "fi", "\u00b2", "2"),
)
texts = st.lists(st.sampled_from(HOSTILE), max_size=5).map("".join) | st.text(max_size=6)
scalars = (
    texts
    | st.integers(-3, 3)
    | st.booleans()
    | st.none()
    | st.sampled_from((1.0, 0.0, -0.0, 1.5, 1e21, 1e-7))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


def action(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"capability": "shop.send@1.0.0", "arguments": arguments, "scope": {"tenant": "acme"}}


def look(arguments: dict[str, Any], artifacts: dict[str, str]) -> tuple[object, ...]:
    shown = shown_of(action(arguments), artifacts)
    return (shown.action, shown.arguments, tuple(shown.artifacts.items()))


@given(st.dictionaries(st.sampled_from("abc"), values), st.dictionaries(st.sampled_from("abc"), values))
def test_two_actions_look_the_same_only_if_their_bytes_are_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = canonical(action(one)) == canonical(action(other))
    # Both are shown as they were read back from the bytes that are hashed.
    shown = [look(parsed(arguments), {}) for arguments in (one, other)]
    assert (shown[0] == shown[1]) == same
    assert (digest_of(canonical(action(one))) == digest_of(canonical(action(other)))) == same


def parsed(arguments: dict[str, Any]) -> dict[str, Any]:

    found: dict[str, Any] = parse_canonical(canonical(arguments))
    return found


@given(texts, texts)
def test_two_artifacts_look_the_same_only_if_they_are(one: str, other: str) -> None:
    assert (unmistakable(one) == unmistakable(other)) == (one == other)
    assert (look({}, {"patch": one}) == look({}, {"patch": other})) == (one == other)


@given(texts)
def test_no_character_that_hides_joins_or_turns_the_text_is_let_through(text: str) -> None:
    shown = unmistakable(text) + escaped({"text": text})
    for char in shown:
        assert char in "\n\t " or unicodedata.category(char)[0] not in "CZM"
    assert unicodedata.normalize("NFKC", shown).isascii() <= shown.isascii()


@given(st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=2, unique=True))
def test_an_artifact_in_its_own_script_stays_readable(pair: list[str]) -> None:
    plain = "größe 漢字 ✓ сосна λόγος\n".replace("ό", "\u03cc")
    assert unmistakable(plain) == plain
    assert unmistakable(pair[0]) != unmistakable(pair[1])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("p\u0430y", r"p\u{430}y"),
        ("\u0440\u0430\u0443", r"\u{440}\u{430}\u{443}"),
        ("\u0391dmin", r"\u{391}dmin"),
        ("\uff50ay", r"\u{ff50}ay"),
        ("cafe\u0301", r"cafe\u{301}"),
        ("caf\u00e9", "caf\u00e9"),
        (r"\u{202e}", r"\u{5c}u{202e}"),
        ("x\u202ey", r"x\u{202e}y"),
        ("a\rb", r"a\u{d}b"),
        ("C:\\users", "C:\\users"),
    ],
)
def test_what_is_drawn_like_something_else_is_shown_by_its_number(text: str, shown: str) -> None:
    assert unmistakable(text) == shown


def test_what_an_agent_wrote_stands_apart_and_what_hides_in_it_is_counted() -> None:
    shown = shown_of(action({"to": "an\u200bna", "deep": [{"b": "\u202e"}]}), {"patch": "+\u2066\n"})
    assert "anna" not in shown.action
    assert "capability" not in shown.arguments
    assert shown.careful == 3
