"""Charging: what a settled call costs, at which price, and never more than it can have cost."""

import msgspec

from bailiwick.base import Instant, canonical
from bailiwick.budget import HIDDEN, PriceTable, cost_micro_usd
from bailiwick.ports import MOST_TOKENS, Claim, Outcome, Usage
from bailiwick.run import Call, CallState
from bailiwick.service.core.refusals import InvalidUsage

_NOTHING = Usage(0, 0)


class Charge(msgspec.Struct, frozen=True):
    """What one call is charged, in micro-USD.

    `price` names the version of the price; empty where nothing was priced. `usage` is what was charged for,
    None where nobody counted tokens.
    """

    cost: int
    estimated: bool = False
    price: str = ""
    usage: Usage | None = None

    def told(self) -> dict[str, object]:
        """Write the charge as the event's payload shows it; empty where nothing was priced."""
        claim = self.usage.claimed if self.usage is not None else None
        beside = {"claimed": msgspec.to_builtins(claim)} if claim is not None else {}
        return {"charge": {"price": self.price, **beside}} if self.price else {}


def charge_of(prices: PriceTable, call: Call, outcome: Outcome) -> Charge:
    """Price what was used; what nobody knows is charged at its reservation and marked.

    An unknown outcome keeps its reservation until somebody resolves it. A model's tokens are priced as of the
    instant at which the call was sent, as its reservation was.

    Raises:
        InvalidUsage: The usage cannot be counted.
    """
    if outcome.state == CallState.UNKNOWN:
        return Charge(0)
    used = outcome.usage
    if used is not None:
        _countable(used)
    if not call.model:
        return _tool_charge(call, outcome)
    silent = used is not None and outcome.tries > 0 and used.input_tokens + used.output_tokens <= 0
    turned_away = outcome.state == CallState.FAILED or (outcome.gone and outcome.state == CallState.LOST)
    if used is None or (silent and not turned_away):
        # It was answered or cut off: no provider did that for nothing.
        unsent = used is None and outcome.state != CallState.DONE and outcome.tries == 0
        return Charge(0, usage=used) if unsent else Charge(call.reserved, True, "reservation", used)
    return _model_charge(prices, call, outcome, used)


def _tool_charge(call: Call, outcome: Outcome) -> Charge:
    if outcome.state != CallState.DONE and outcome.tries == 0:
        return Charge(0, usage=outcome.usage)
    price = f"contract {call.capability}" if call.reserved else ""
    return Charge(call.reserved, outcome.state != CallState.DONE, price, outcome.usage)


def _model_charge(prices: PriceTable, call: Call, outcome: Outcome, used: Usage) -> Charge:
    """Price a model's tokens; a worker's report is held to the reservation, and to the size of what came beyond it."""
    price = prices.price(call.model, Instant(call.dispatched_at), used.input_tokens)
    cost = cost_micro_usd(price, used)
    beyond = Usage(HIDDEN, len(canonical(outcome.outcome)) if outcome.outcome is not None else 0)
    most = call.reserved + cost_micro_usd(price, beyond)
    if cost > most:
        used = _scaled(used, most, cost)
    guessed = used.source != "reported" or price.estimated
    return Charge(min(cost, most), guessed, price.version, used)


def _scaled(used: Usage, most: int, cost: int) -> Usage:
    """Count as many tokens as are paid for, in the same proportion; what was claimed stands beside them."""
    return Usage(
        input_tokens=used.input_tokens * most // cost,
        output_tokens=used.output_tokens * most // cost,
        source="capped",
        cached_input_tokens=used.cached_input_tokens * most // cost,
        claimed=used.claimed or Claim(used.input_tokens, used.output_tokens),
    )


def _countable(usage: Usage) -> None:
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
    if not all(0 <= count <= MOST_TOKENS for count in counts):
        raise InvalidUsage(counts)
