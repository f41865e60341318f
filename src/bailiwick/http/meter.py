"""The meter: what the door tells whoever counts, and what it shows at /metrics."""

from typing import Protocol


class Meter(Protocol):
    """Counts requests and refusals; `telemetry` implements it, wiring hands it in. Never blocks, never raises."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is the template (`/v1/runs/{id}`), so that labels stay few."""
        ...

    def refused(self, code: str) -> None:
        """Count a refusal by its code."""
        ...

    def hop(self, name: str, seconds: float) -> None:
        """Time one hop of a run's way, for example `submit`."""
        ...

    async def exposition(self, *, openmetrics: bool, named: bool) -> tuple[bytes, str]:
        """Write all metrics; answer the text and its media type. Unless `named`, without the names that tenants gave."""
        ...
