"""Money: whole micro-USD inside, decimal text at the doors, and never a float between them."""

import re

from bailiwick.base import Category, Refusal, Short

MICRO = 1_000_000
MAX_DOLLAR_DIGITS = 9
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?\Z")


class InvalidBudget(Refusal, code="invalid_budget", category=Category.INVALID):
    """A text is not an amount of money that can be a budget."""

    text: Short
    reason: str
    says = "{text!r} is not a budget: {reason}"
    remedy = 'give US dollars as text, above zero, below a billion, at most six decimals: "0.50"'


def parse_usd(text: str) -> int:
    """Read an amount of US dollars, for example `"0.50"`, as micro-USD (500000).

    Returns:
        1 .. 999_999_999_999_999, so it also survives a JSON number.

    Raises:
        InvalidBudget: Zero, a sign, more than nine digits of dollars or six decimals, or not a number.
    """
    match = _AMOUNT.match(text)
    if match is None:
        digits = text.lstrip("+-").partition(".")[0]
        if text.startswith("-"):
            raise InvalidBudget(text, "it is negative")
        if digits.isdecimal() and len(digits) > MAX_DOLLAR_DIGITS:
            raise InvalidBudget(text, f"more than {MAX_DOLLAR_DIGITS} digits of dollars")
        raise InvalidBudget(text, "not a plain decimal number")
    micro = int(match[1]) * MICRO + int((match[2] or "0").ljust(6, "0"))
    if micro == 0:
        raise InvalidBudget(text, "it is zero")
    return micro


def format_usd(micro_usd: int) -> str:
    """Show micro-USD as dollars with two to six decimals, exactly: 500000 as `0.50`, 7 as `0.000007`."""
    dollars, rest = divmod(abs(micro_usd), MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro_usd < 0 else ''}{dollars}.{decimals}"
