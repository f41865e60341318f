"""A process of the fleet: the `bailiwick` command; deaf, when a test asks for it, so that it never knows its lease is gone."""

import asyncio
import os

from bailiwick.cli import main
from bailiwick.ports import Session
from bailiwick.worker import Worker


async def deaf(_: Worker, session: Session) -> None:
    """Renew nothing and hear nothing, as a process whose heart has stopped and whose hands go on."""
    await asyncio.Event().wait()


if os.environ.get("FLEET_DEAF"):
    Worker._heartbeat = deaf  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
