"""Rates: how many requests a second a tenant and a key may send; who asks more often is told so before a body is read."""

import time
from collections import OrderedDict
from collections.abc import Callable

from bailiwick.service import LimitBook, RequestsLimit

BURST_SECONDS = 2.0
_MAX_BUCKETS = 10_000


class Rates:
    """Counts requests in buckets that refill as time passes and hold two seconds' worth.

    Args:
        limits: What each tenant may have.
        ticks: Seconds that never go back.
    """

    def __init__(self, limits: LimitBook, ticks: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._ticks = ticks
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, tenant: str, key: str) -> None:
        """Count a request of a key.

        Raises:
            RequestsLimit: The key, or its tenant, has none left; a refused request counts for nothing else.
        """
        limits = self._limits.of(tenant)
        self._take("key", (tenant, key), limits.key_requests)
        self._take("tenant", (tenant, ""), limits.requests)

    def _take(self, of: str, bucket: tuple[str, str], rate: int) -> None:
        if not rate:
            return
        now, most = self._ticks(), rate * BURST_SECONDS
        left, then = self._buckets.pop(bucket, (most, now))
        left = min(most, left + (now - then) * rate)
        self._buckets[bucket] = (max(left - 1, 0.0), now) if left >= 1 else (left, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise RequestsLimit(of, rate)
