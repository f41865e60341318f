"""Prices are dated data; a model or a text that nobody knows is priced on the safe side."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Instant
from bailiwick.budget import (
    InvalidPrice,
    Price,
    PriceRow,
    PriceSource,
    PriceTable,
    cost_micro_usd,
    estimate_call,
    estimate_micro_usd,
    input_token_bound,
    token_bound,
)

DEFAULT = Price(input=10_000_000, output=40_000_000, cached_input=10_000_000)
COUNTS = st.integers(0, 10_000_000)


class Used(msgspec.Struct, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


def catalogue(model, at, input_tokens):
    if model != "openai:known":
        return None
    dear = input_tokens > 200_000
    return Price(input=2 if dear else 1, output=3, cached_input=1, source=PriceSource.CATALOGUE)


def test_an_unknown_model_costs_the_default_and_says_that_it_is_estimated():
    price = PriceTable([], DEFAULT, catalogue).price("openai:unheard-of", Instant(0))
    assert (price.source, price.estimated) == (PriceSource.DEFAULT, True)
    assert cost_micro_usd(price, Used(output_tokens=1)) == 40


def test_own_rows_stand_over_the_catalogue_from_their_date_on():
    table = PriceTable([PriceRow("openai:known", Instant(100), input=7, output=8)], DEFAULT, catalogue)
    assert table.price("openai:known", Instant(99)).source is PriceSource.CATALOGUE
    assert table.price("openai:known", Instant(100)) == Price(
        input=7,
        output=8,
        cached_input=7,
        version="table openai:known since 1970-01-01T00:00:00.000100Z #38dd6d13",
    )


def test_the_price_that_held_at_the_instant_is_used_however_the_rows_are_ordered():
    rows = [PriceRow("m", Instant(since), input=since, output=1) for since in (10, 30, 20)]
    table = PriceTable(rows, DEFAULT)
    assert [table.price("m", Instant(at)).input for at in (9, 10, 29, 30)] == [10_000_000, 10, 20, 30]


def test_the_more_specific_pattern_wins_over_the_later_one():
    rows = [
        PriceRow("a:*", Instant(50), input=1, output=1),
        PriceRow("a:big-*", Instant(0), input=9, output=9),
    ]
    table = PriceTable(rows, DEFAULT)
    assert table.price("a:big-1", Instant(60)).input == 9
    assert table.price("a:small", Instant(60)).input == 1


def test_the_tier_follows_the_size_of_the_request():
    table = PriceTable([], DEFAULT, catalogue)
    assert [table.price("openai:known", Instant(0), size).input for size in (1, 200_001)] == [1, 2]


@pytest.mark.parametrize("default", [Price(0, 1, 1), Price(1, 0, 1), Price(1, 1, 0), Price(-1, 1, 1)])
def test_a_default_price_of_zero_is_refused(default):
    with pytest.raises(InvalidPrice):
        PriceTable([], default)


def test_a_negative_price_is_refused():
    with pytest.raises(InvalidPrice):
        PriceTable([PriceRow("m", Instant(0), input=1, output=1, cached_input=-1)], DEFAULT)


def test_a_cost_is_rounded_up():
    price = Price(input=1, output=1, cached_input=1)
    assert cost_micro_usd(price, Used(input_tokens=1)) == 1
    assert cost_micro_usd(price, Used(input_tokens=1_000_000)) == 1
    assert cost_micro_usd(price, Used(input_tokens=1_000_001)) == 2
    assert cost_micro_usd(price, Used()) == 0


def test_cached_input_is_part_of_the_input_and_never_more_than_it():
    price = Price(input=4_000_000, output=0, cached_input=1_000_000)
    assert cost_micro_usd(price, Used(input_tokens=10, cached_input_tokens=4)) == 6 * 4 + 4
    assert cost_micro_usd(price, Used(input_tokens=10, cached_input_tokens=99)) == 10


@given(price=st.builds(Price, COUNTS, COUNTS, COUNTS), asked=COUNTS, limit=COUNTS, data=st.data())
def test_no_call_within_its_limits_costs_more_than_its_estimate(price, asked, limit, data):
    used = Used(
        data.draw(st.integers(0, asked)), data.draw(st.integers(0, limit)), data.draw(st.integers(0, asked))
    )
    estimate = estimate_call(price, asked, limit)
    assert cost_micro_usd(price, used) <= estimate.micro_usd == estimate_micro_usd(price, asked, limit)
    assert (estimate.input_tokens, estimate.output_tokens) == (asked, limit)


@given(st.text())
def test_the_bound_is_a_token_for_each_byte(text):
    assert token_bound(text) == len(text.encode())


def test_half_of_a_surrogate_pair_is_counted_too():
    assert token_bound("\ud83d") == 3


# Tokens that the cl100k and o200k vocabularies really need, counted once with the real tokenizers.
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("def add(left: int, right: int) -> int:\n    return left + right\n", 19),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 43),
        ("aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ=", 27),
        ("qzjxkvwpqjzxvkqwjzpx", 14),
        ("控制平面讓許多不完美的代理在真實系統上工作", 26),
        ("🦀🛰🧿", 9),
    ],
)
def test_real_tokenizers_never_need_more_than_the_bound(text, tokens):
    assert tokens <= token_bound(text)


@given(st.lists(st.text(max_size=50), max_size=8), st.lists(st.text(max_size=50), max_size=8))
def test_a_request_is_bounded_by_its_parts_so_a_history_need_not_be_counted_again(old, new):
    both = input_token_bound([*old, *new])
    assert both == input_token_bound(old) + input_token_bound(new) - input_token_bound([])
    assert both > 0
