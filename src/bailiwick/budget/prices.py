"""Prices of models: dated rows of our own over a catalogue that is handed in, and never zero for the unknown."""

import hashlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from bailiwick.base import Category, Instant, Refusal, format_instant

_PER_MILLION = 1_000_000


class PriceSource(StrEnum):
    """Where a price comes from. A default price is a guess, so what it prices is marked as estimated.

    local: a model on a machine of one's own, which nobody bills; it is limited by its tokens alone.
    """

    TABLE = "table"
    CATALOGUE = "catalogue"
    LOCAL = "local"
    DEFAULT = "default"


class InvalidPrice(Refusal, code="invalid_price", category=Category.INVALID):
    """A configured price cannot be a price."""

    model: str
    reason: str
    says = "the price for {model!r} cannot be used: {reason}"
    remedy = "give whole micro-USD per million tokens; the default price must be above zero"


class Price(msgspec.Struct, frozen=True):
    """What tokens cost, in micro-USD per million tokens (2_500_000 is $2.50 per million).

    `version` names the row, and by a digest its amounts, so that a charge can be followed back to its price.
    """

    input: int
    output: int
    cached_input: int
    source: PriceSource = PriceSource.TABLE
    version: str = ""

    @property
    def estimated(self) -> bool:
        """Whether the price is a guess for a model that nobody has priced."""
        return self.source is PriceSource.DEFAULT


class PriceRow(msgspec.Struct, frozen=True):
    """A price of our own, for models that match `pattern` (`openai:gpt-5*`), from `since` on.

    Micro-USD per million tokens. `cached_input` None means that cached input costs the same as other input.
    """

    pattern: str
    since: Instant
    input: int
    output: int
    cached_input: int | None = None


class Tokens(Protocol):
    """What a call used; cached input tokens are part of the input tokens."""

    @property
    def input_tokens(self) -> int: ...  # noqa: D102
    @property
    def cached_input_tokens(self) -> int: ...  # noqa: D102
    @property
    def output_tokens(self) -> int: ...  # noqa: D102


PriceLookup = Callable[[str, Instant, int], Price | None]
"""A catalogue: (model, instant of the request, its input tokens) -> price, or None for a model it does not know."""


class PriceTable:
    """Finds the price that held at an instant: own rows first, then the catalogue, then the default.

    Of several rows that match, the most specific pattern wins (most characters other than `*`), and of its
    rows the one that came into force last.

    Args:
        rows: Our own prices, in any order.
        default: Price of a model that neither knows; above zero, so that the unknown is never free.
        lookup: The catalogue, or None.

    Raises:
        InvalidPrice: A negative price, or a default of zero.
    """

    def __init__(self, rows: Sequence[PriceRow], default: Price, lookup: PriceLookup | None = None) -> None:
        for row in rows:
            if min(row.input, row.output, row.cached_input or 0) < 0:
                raise InvalidPrice(row.pattern, "it is negative")
        if min(default.input, default.output, default.cached_input) <= 0:
            raise InvalidPrice("*", "the default price must be above zero")
        ranked = sorted(rows, key=lambda row: (len(row.pattern.replace("*", "")), row.since), reverse=True)
        self._rows = tuple((row.pattern, row.since, _price_of(row)) for row in ranked)
        guessed = msgspec.structs.replace(default, source=PriceSource.DEFAULT)
        self._default = msgspec.structs.replace(guessed, version=_version("default", guessed))
        self._lookup = lookup

    def price(self, model: str, at: Instant, input_tokens: int = 0) -> Price:
        """Find the price of a model at an instant; `input_tokens` chooses the tier where a catalogue has tiers."""
        for pattern, since, price in self._rows:
            if since <= at and fnmatchcase(model, pattern):
                return price
        found = self._lookup(model, at, input_tokens) if self._lookup is not None else None
        return self._default if found is None else found


def _price_of(row: PriceRow) -> Price:
    cached = row.input if row.cached_input is None else row.cached_input
    price = Price(input=row.input, output=row.output, cached_input=cached)
    name = f"table {row.pattern} since {format_instant(row.since)}"
    return msgspec.structs.replace(price, version=_version(name, price))


def _version(name: str, price: Price) -> str:
    amounts = f"{price.input}/{price.output}/{price.cached_input}"
    return f"{name} #{hashlib.sha256(amounts.encode()).hexdigest()[:8]}"


class Estimate(msgspec.Struct, frozen=True):
    """The most that a call can cost, before it is made: its reservation. `source` says whose price it used."""

    micro_usd: int
    input_tokens: int
    output_tokens: int
    source: PriceSource


def cost_micro_usd(price: Price, usage: Tokens) -> int:
    """Price what was used, rounded up to a whole micro-USD; zero only for no tokens or a price of zero."""
    cached = min(usage.cached_input_tokens, usage.input_tokens)
    total = (
        (usage.input_tokens - cached) * price.input
        + cached * price.cached_input
        + usage.output_tokens * price.output
    )
    return -(-total // _PER_MILLION)


def estimate_micro_usd(price: Price, input_tokens: int, output_limit: int) -> int:
    """Price the worst case: all of the input at the dearer input price, and the whole output limit."""
    total = input_tokens * max(price.input, price.cached_input) + output_limit * price.output
    return -(-total // _PER_MILLION)


def estimate_call(price: Price, input_tokens: int, output_limit: int) -> Estimate:
    """Make the estimate of a call that is not yet made."""
    return Estimate(
        micro_usd=estimate_micro_usd(price, input_tokens, output_limit),
        input_tokens=input_tokens,
        output_tokens=output_limit,
        source=price.source,
    )
