"""A refused amount, price or booking says which it was and why, in its text and in its facts."""

import pytest

from bailiwick.base import Instant
from bailiwick.budget import (
    Allotment,
    InvalidBudget,
    InvalidPrice,
    Misbooked,
    Price,
    PriceRow,
    PriceTable,
    parse_usd,
)

DEFAULT = Price(input=10, output=40, cached_input=10)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-1", "it is negative"),
        ("0.00", "it is zero"),
        ("1234567890.5", "more than 9 digits of dollars"),
        ("+1234567890", "more than 9 digits of dollars"),
        ("1.2.3", "not a plain decimal number"),
        ("one" * 40, "not a plain decimal number"),
    ],
)
def test_a_text_that_is_no_budget_is_told_with_its_first_letters(text: str, reason: str) -> None:
    with pytest.raises(InvalidBudget) as refusal:
        parse_usd(text)
    assert refusal.value.facts == {"text": text[:80], "reason": reason}
    assert str(refusal.value).startswith(f"{text[:80]!r} is not a budget: {reason}")


@pytest.mark.parametrize("prices", [(-1, 0, None), (0, -1, None), (0, 0, -1)])
def test_a_negative_price_is_told_with_its_model(prices: tuple[int, int, int | None]) -> None:
    with pytest.raises(InvalidPrice) as refusal:
        PriceTable([PriceRow("openai:x", Instant(0), *prices)], DEFAULT)
    assert refusal.value.facts == {"model": "openai:x", "reason": "it is negative"}
    assert "the price for 'openai:x' cannot be used: it is negative" in str(refusal.value)


def test_the_catalogue_is_asked_for_the_instant_of_the_request() -> None:
    asked: list[tuple[str, int, int]] = []

    def lookup(model: str, at: Instant, tokens: int) -> None:
        asked.append((model, at, tokens))

    PriceTable([], DEFAULT, lookup).price("openai:x", Instant(7), 9)
    assert asked == [("openai:x", 7, 9)]


def test_a_booking_that_does_not_fit_says_what_was_booked() -> None:
    for book, said in (
        (lambda: Allotment(10).top_up(0), "the booking does not fit: a top-up must be above zero"),
        (
            lambda: Allotment(10).settle(1, 1),
            "the booking does not fit: more settled than is reserved, or below zero",
        ),
    ):
        with pytest.raises(Misbooked) as refusal:
            book()
        assert str(refusal.value).startswith(said)
        assert refusal.value.facts
