"""Limits: what one tenant may have of a deployment at a time, and the refusals that say so."""

from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick.base import Category, Refusal


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tenant may have at a time; 0 is no limit.

    `weight` is its share of turns. `runs` are unfinished runs of the deployment, `identity_runs` those that one identity
    asked for, `bytes` are stored as artifacts. All others are of one process:
    `steps` are in the hands of workers, `streams` and `key_streams` are open event streams of the tenant and of one
    key, `requests` and `key_requests` answered requests a second. `queue_seconds`: how long the work of an app may
    have waited for hands before the app's new runs are refused.
    """

    weight: float = 1.0
    runs: int = 100_000
    identity_runs: int = 0
    bytes: int = 0
    steps: int = 0
    streams: int = 0
    key_streams: int = 256
    requests: int = 2_000
    key_requests: int = 1_000
    queue_seconds: float = 30.0


class LimitBook:
    """The limits of all tenants.

    Args:
        usual: Those of a tenant of which nothing else is said.
        special: By tenant, the limits of its own, by name.

    Raises:
        ValueError: A name or a value is none; the message says which.
    """

    def __init__(
        self, usual: Limits | None = None, special: Mapping[str, Mapping[str, float]] = {}
    ) -> None:  # never changed
        self._usual = _sound("limits", usual if usual is not None else Limits())
        self._special = {
            tenant: _sound(f"limits_of.{tenant}", _with(self._usual, own)) for tenant, own in special.items()
        }

    def of(self, tenant: str) -> Limits:
        """Give the limits of a tenant."""
        return self._special.get(tenant, self._usual)

    def weight_of(self, tenant: str) -> float:
        """Tell a tenant's share of turns."""
        return self.of(tenant).weight


def _with(usual: Limits, own: Mapping[str, float]) -> Limits:
    try:
        return msgspec.convert({**msgspec.to_builtins(usual), **own}, Limits)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _sound(name: str, limits: Limits) -> Limits:
    values: dict[str, Any] = msgspec.to_builtins(limits)
    for field, value in values.items():
        if value < 0 or (field == "weight" and not 0.01 <= value <= 100):
            raise ValueError(f"{name}.{field} cannot be {value}")
    return limits


class RunsLimit(Refusal, code="runs_limit", category=Category.LIMITED):
    """The tenant, or the identity that asks, has as many unfinished runs as it may."""

    of: str
    limit: int
    retry_after_seconds: int = 5
    says = "{limit} runs of this {of} are not finished; no more are taken at a time"
    remedy = (
        "wait until some have ended, or cancel what nobody needs: bailiwick runs list, bailiwick runs "
        "cancel RUN"
    )


class BytesLimit(Refusal, code="bytes_limit", category=Category.LIMITED):
    """The tenant's artifacts take as many bytes as they may."""

    stored: int
    limit: int
    retry_after_seconds: int = 60
    says = "the artifacts of this tenant take {stored:,} bytes, and it may have {limit:,}"
    remedy = "erase runs that nobody needs: bailiwick audit erase RUN; or have limits.bytes raised"


class RequestsLimit(Refusal, code="requests_limit", category=Category.LIMITED):
    """More requests came than are answered in a second."""

    of: str
    limit: int
    retry_after_seconds: int = 1
    says = "more than {limit} requests a second of one {of}"
    remedy = "ask again after a second, and less often; a repeat with the same Idempotency-Key is safe"


class StreamsLimit(Refusal, code="streams_limit", category=Category.LIMITED):
    """One tenant or key has as many open event streams as it may."""

    of: str
    limit: int
    retry_after_seconds: int = 5
    says = "{limit} event streams of this {of} are open; no more are served at a time"
    remedy = "close one, or read the events as JSON with ?after="


class Overloaded(Refusal, code="overloaded", category=Category.UNAVAILABLE):
    """Accepted work of this app waits longer than it should; nothing more is taken before that was worked on."""

    def __init__(self, app: str, waited: float, limit: float) -> None:
        super().__init__(
            f"work of app {app} has waited {waited:.0f} s for a worker, more than {limit:g} s",
            remedy="submit again later, with the same Idempotency-Key; what was accepted is worked on",
            app=app,
            waited_seconds=round(waited, 1),
            limit_seconds=limit,
            retry_after_seconds=max(1, min(30, round(waited - limit))),
        )
