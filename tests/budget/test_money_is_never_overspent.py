"""An allotment is a hard limit, whatever the order in which calls begin and end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Category
from bailiwick.budget import Allotment, BudgetExhausted, InvalidBudget, Misbooked, format_usd, parse_usd

AMOUNTS = st.integers(0, 1_000_000)


@given(limit=AMOUNTS, steps=st.lists(st.tuples(st.booleans(), AMOUNTS, st.floats(0, 1)), max_size=60))
def test_no_interleaving_of_calls_overspends(limit, steps):
    allotment, open_calls = Allotment(limit), []
    for begins, amount, share in steps:
        if begins:
            if amount > allotment.remaining:
                with pytest.raises(BudgetExhausted):
                    allotment.reserve(amount)
            else:
                allotment = allotment.reserve(amount)
                open_calls.append(amount)
        elif open_calls:
            reservation = open_calls.pop(int(share * (len(open_calls) - 1)))
            allotment = allotment.settle(reservation, int(reservation * share))
        assert 0 <= allotment.reserved == sum(open_calls)
        assert allotment.spent >= 0
        assert allotment.spent + allotment.reserved <= limit
        assert allotment.remaining == limit - allotment.spent - allotment.reserved


@given(limit=AMOUNTS, calls=st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=40))
def test_a_limit_is_exceeded_only_by_what_calls_cost_over_their_reservation(limit, calls):
    allotment, excess = Allotment(limit), 0
    for reservation, cost in calls:
        try:
            allotment = allotment.reserve(reservation).settle(reservation, cost)
        except BudgetExhausted:
            continue
        excess += max(cost - reservation, 0)
        assert allotment.spent <= limit + excess
        assert allotment.remaining >= 0


def test_an_unknown_cost_is_charged_at_its_reservation():
    assert Allotment(100).reserve(60).settle(60, None) == Allotment(100, reserved=0, spent=60)


def test_after_an_overrun_nothing_more_is_reserved():
    allotment = Allotment(100).reserve(60).settle(60, 150)
    assert (allotment.spent, allotment.remaining) == (150, 0)
    with pytest.raises(BudgetExhausted):
        allotment.reserve(1)
    with pytest.raises(BudgetExhausted):
        allotment.reserve(0)


def test_a_refusal_names_the_four_amounts_and_reserves_nothing():
    allotment = Allotment(500_000, reserved=100_000, spent=350_000)
    with pytest.raises(BudgetExhausted) as refusal:
        allotment.reserve(50_001)
    assert refusal.value.code == "budget_exhausted"
    assert refusal.value.category is Category.EXHAUSTED
    assert refusal.value.facts == {"limit": 500_000, "spent": 350_000, "reserved": 100_000, "asked": 50_001}
    assert allotment.reserve(50_000).remaining == 0


@pytest.mark.parametrize(("reservation", "cost"), [(11, 0), (-1, 0), (5, -1)])
def test_a_settlement_never_goes_below_zero(reservation, cost):
    with pytest.raises(Misbooked):
        Allotment(100, reserved=10).settle(reservation, cost)


def test_a_reservation_is_settled_once():
    settled = Allotment(100).reserve(40).settle(40, 10)
    with pytest.raises(Misbooked):
        settled.settle(40, 10)


@pytest.mark.parametrize("amount", [-1, -(10**12)])
def test_a_negative_reservation_does_not_create_money(amount):
    with pytest.raises(Misbooked):
        Allotment(100).reserve(amount)


def test_the_soft_limit_is_at_eighty_percent_of_what_is_spent():
    assert not Allotment(100, spent=79, reserved=21).soft_limit_reached
    assert Allotment(100, spent=80).soft_limit_reached


def test_a_top_up_raises_the_limit_and_is_never_a_cut():
    assert Allotment(100, spent=100).top_up(50).reserve(50).remaining == 0
    for amount in (0, -1):
        with pytest.raises(Misbooked):
            Allotment(100).top_up(amount)


@given(st.integers(1, 999_999_999_999_999))
def test_an_amount_survives_its_text(micro):
    assert parse_usd(format_usd(micro)) == micro


@pytest.mark.parametrize(
    ("text", "micro"),
    [("0.50", 500_000), ("1", 1_000_000), ("0.000001", 1), ("999999999.999999", 999_999_999_999_999)],
)
def test_a_budget_is_read_exactly(text, micro):
    assert parse_usd(text) == micro


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0.00",
        "-1",
        "+1",
        "1000000000",
        "1e3",
        "0.0000001",
        "",
        " 1",
        "1 ",
        "1\n",
        "$1",
        "NaN",
        "1,5",
        "٣",
        "1.",
        ".5",
    ],
)
def test_what_is_no_budget_is_refused_with_its_reason(text):
    with pytest.raises(InvalidBudget) as refusal:
        parse_usd(text)
    assert refusal.value.code == "invalid_budget"
    assert refusal.value.facts["reason"]


@pytest.mark.parametrize(
    ("micro", "text"),
    [(500_000, "0.50"), (7, "0.000007"), (0, "0.00"), (1_230_000, "1.23"), (-5, "-0.000005")],
)
def test_an_amount_is_shown_exactly(micro, text):
    assert format_usd(micro) == text
