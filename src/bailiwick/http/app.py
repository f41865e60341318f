"""The application: the routes of the API around one platform; it starts and stops nothing."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI

from bailiwick.http import (
    approvals,
    audit,
    budgets,
    documenting,
    events,
    halts,
    identities,
    keys,
    operating,
    problems,
    runs,
    tenants,
)
from bailiwick.http.edge import Edge
from bailiwick.http.limits import Limits
from bailiwick.http.meter import Meter
from bailiwick.http.rates import Rates
from bailiwick.http.sse import OpenStreams
from bailiwick.service import Platform

_ROOMS = (runs, approvals, halts, budgets, identities, keys, tenants, audit, operating)


def create_app(
    platform: Platform,
    *,
    readiness: Callable[[], Awaitable[dict[str, str]]],
    meter: Meter,
    version: str,
    limits: Limits | None = None,
) -> FastAPI:
    """Make the ASGI application of a started platform; who serves it, binds it and stops it.

    Args:
        platform: What the routes speak to.
        readiness: Answers /readyz: by check, why it does not hold, empty when it does; must be quick.
        meter: Counts, and answers /metrics.
        version: What /version and the document say.
        limits: Bounds; the defaults when None.
    """
    bounds = limits if limits is not None else Limits()
    app = FastAPI(version=version, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.platform = platform
    app.state.readiness = readiness
    app.state.meter = meter
    app.state.limits = bounds
    app.state.streams = OpenStreams(bounds.streams, platform.limits)
    app.state.rates = Rates(platform.limits)
    app.router.routes.append(events.route())
    for room in _ROOMS:
        app.include_router(room.router)
    problems.install(app, meter)
    documenting.install(app, version=version, bare={events.PATH: events.operations()})
    app.add_middleware(Edge, meter=meter, store_seconds=bounds.store_seconds)
    return app


def close_streams(app: FastAPI) -> None:
    """End the open event streams of a server that is about to stop; each client is told where to resume."""
    streams: OpenStreams = app.state.streams
    streams.close()
