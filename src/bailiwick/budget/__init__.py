"""Floor 2: what a call may cost at most, what it did cost, and how much of an allotment is left."""

from bailiwick.budget.allotment import Allotment, BudgetExhausted, Misbooked
from bailiwick.budget.money import InvalidBudget, format_usd, parse_usd
from bailiwick.budget.prices import (
    Estimate,
    InvalidPrice,
    Price,
    PriceLookup,
    PriceRow,
    PriceSource,
    PriceTable,
    Tokens,
    cost_micro_usd,
    estimate_call,
    estimate_micro_usd,
)
from bailiwick.budget.tokens import HIDDEN, input_token_bound, token_bound

__all__ = [
    "HIDDEN",
    "Allotment",
    "BudgetExhausted",
    "Estimate",
    "InvalidBudget",
    "InvalidPrice",
    "Misbooked",
    "Price",
    "PriceLookup",
    "PriceRow",
    "PriceSource",
    "PriceTable",
    "Tokens",
    "cost_micro_usd",
    "estimate_call",
    "estimate_micro_usd",
    "format_usd",
    "input_token_bound",
    "parse_usd",
    "token_bound",
]
