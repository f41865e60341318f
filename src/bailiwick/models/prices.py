"""Prices from the genai-prices catalogue, at the instant of the request, for `budget`'s price table."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from bailiwick.base import Instant
from bailiwick.budget import Price, PriceSource

_MICRO = 1_000_000
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


def catalogue_price(model: str, at: Instant, input_tokens: int) -> Price | None:
    """Look a model (`openai:gpt-5-mini`) up; None when the catalogue does not know it or has no price for it.

    Args:
        model: Provider and model; the provider is the catalogue's name of it.
        at: When the request is made: prices have a history.
        input_tokens: Chooses the tier where prices have tiers.
    """
    from genai_prices import Usage, calc_price  # noqa: PLC0415 -- half a second that a start without models saves

    provider, _, name = model.partition(":")
    moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    usage = Usage(input_tokens=input_tokens, output_tokens=0)
    try:
        found = calc_price(usage, name, provider_id=provider, genai_request_timestamp=moment).model_price
    except LookupError:
        return None
    base = _per_million(found.input_mtok, input_tokens)
    output = _per_million(found.output_mtok, input_tokens)
    if base is None or output is None:
        return None
    cached = _per_million(found.cache_read_mtok, input_tokens)
    return Price(
        input=base,
        output=output,
        cached_input=base if cached is None else cached,
        source=PriceSource.CATALOGUE,
        version=_catalogue(),
    )


def local_price(base_url: str) -> Price | None:
    """Give the price of a model that nobody has priced, at a server of one's own: nothing, and shown as such.

    Returns:
        None where the address is neither this machine's nor on a private network.
    """
    host = urlsplit(base_url).hostname or ""
    try:
        ip = ip_address(host)
        own = ip.is_loopback or any(ip.version == network.version and ip in network for network in _PRIVATE)
    except ValueError:
        own = host == "localhost" or host.endswith(".localhost")
    return Price(0, 0, 0, PriceSource.LOCAL, "unpriced (local)") if own else None


@cache
def _catalogue() -> str:
    """Name the catalogue: its prices change with its releases alone."""
    return f"genai-prices {version('genai-prices')}"


def _per_million(price: Any, input_tokens: int) -> int | None:
    """Give micro-USD per million tokens, rounded up; of a tiered price, the tier that the request falls in."""
    if price is None:
        return None
    usd: Decimal = price if isinstance(price, Decimal) else price.base
    for tier in getattr(price, "tiers", ()):
        if input_tokens > tier.start:
            usd = tier.price
    return -int(-usd * _MICRO // 1)
