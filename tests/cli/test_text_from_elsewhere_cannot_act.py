"""Whatever text holds, printing it neither steers the terminal nor hides anything from the eye."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.cli.text import hidden_in, money, visible


@given(st.text())
def test_what_is_printed_holds_only_characters_that_show(text: str) -> None:
    for char in visible(text):
        assert char == " " or unicodedata.category(char)[0] not in "CZ"


@given(st.text())
def test_only_line_ends_and_tabs_are_let_through_in_texts_of_several_lines(text: str) -> None:
    shown = visible(text, lines=True)
    assert all(char in "\n\t " or unicodedata.category(char)[0] not in "CZ" for char in shown)
    assert shown.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 漢字 ✓", "größe 漢字 ✓"),
        ("a\x1b[31mb", r"a\u{1b}[31mb"),
        ("a\rb", r"a\u{d}b"),
        ("x\u202ey\u2066z", r"x\u{202e}y\u{2066}z"),
        ("zero\u200bwidth", r"zero\u{200b}width"),
        ("tag\U000e0041", r"tag\u{e0041}"),
        ("selector\ufe0f", r"selector\u{fe0f}"),
        ("blank\u3164", r"blank\u{3164}"),
        ("lone\ud800", r"lone\u{d800}"),
        ("two\nlines", r"two\u{a}lines"),
    ],
)
def test_hidden_characters_are_shown_by_number(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_does_not_show_is_counted() -> None:
    assert hidden_in("a\tb\nc") == 0
    assert hidden_in("a\u202eb\x1b") == 2


@pytest.mark.parametrize(
    ("micro", "shown"),
    [(0, "$0.00"), (500_000, "$0.50"), (7, "$0.000007"), (-1_250_000, "-$1.25"), (12_345_678, "$12.345678")],
)
def test_money_is_shown_to_the_last_digit_that_counts(micro: int, shown: str) -> None:
    assert money(micro) == shown
