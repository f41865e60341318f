"""Arithmetic of leases and retries: how long, how often, with what spread."""

from bailiwick.contract import ErrorCategory
from bailiwick.plan import Retry

LEASE_SECONDS = 15.0
MAX_CLAIMS = 5

MAX_ASKED_SECONDS = 86_400.0
"""How long another side can make us wait, whatever it asks for."""

_BEATS = 3

DEFAULT_RETRY = Retry(on=(ErrorCategory.TRANSIENT, ErrorCategory.RATE_LIMITED), attempts=3)

_DOUBTED = Retry(on=(), backoff_seconds=0.5)


def heartbeat_of(lease_seconds: float) -> float:
    """Tell how often a lease is renewed, in seconds: so that two lost beats do not lose it."""
    return lease_seconds / _BEATS


def retry_delay(retry: Retry, attempt: int, spread: float, asked: float | None = None) -> float:
    """Tell how many seconds to wait after a failed attempt.

    Exponential with full jitter over its upper half, so that a herd spreads and no retry comes at once
    (AWS Architecture Blog, "Exponential backoff and jitter"); never less than the other side asked for.

    Args:
        retry: The step's policy.
        attempt: The attempt that failed, >= 1.
        spread: A random number in [0, 1).
        asked: Seconds that the other side asked to wait, or None; of more than a day, a day counts.
    """
    full = min(retry.max_seconds, retry.backoff_seconds * retry.factor ** (attempt - 1))
    delay = full * (0.5 + spread / 2)
    return max(delay, min(asked, MAX_ASKED_SECONDS)) if asked is not None else delay


def doubt_delay(doubts: int, spread: float, asked: float | None = None) -> float:
    """Tell how many seconds to wait before an effect whose answer was lost is sent again; see `retry_delay`.

    Args:
        doubts: How many of its tries are in doubt, >= 1.
        spread: A random number in [0, 1).
        asked: Seconds that the other side asked to wait, or None.
    """
    return retry_delay(_DOUBTED, doubts, spread, asked)


def may_retry(retry: Retry, attempt: int, category: ErrorCategory) -> bool:
    """Say whether a failed attempt gets another one."""
    return category in retry.on and attempt < retry.attempts
