"""Connections: how this process speaks to its PostgreSQL, for how long it waits, and what it makes of a lost line."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from bailiwick.ports import patience
from bailiwick.stores.postgres.address import Address
from bailiwick.stores.postgres.migrate import migrate
from bailiwick.stores.refusals import StoreBusy, StoreClosed, StoreUnreachable

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's own confusion over a line that died in the middle of an operation
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
)
"""What says that a connection is gone or cannot be had: nothing of an open transaction was kept."""

COLLIDED: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
"""What says that others hold what a statement needs, or that it took too long: it can be asked again."""

_TURNED_AWAY: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_READERS: Final = 8
_WAIT_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 30.0
_STATEMENTS: Final = 256
_SETTINGS: Final = {
    "application_name": "bailiwick",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",
    # What a process that was frozen in a transaction holds must be free before its lease and 3 s are over.
    "idle_in_transaction_session_timeout": "2s",
    "statement_timeout": "25s",
    "lock_timeout": "10s",
    "jit": "off",
    "timezone": "UTC",
}


class Lines:
    """A pool for reads and short acts, and single connections for those who keep one; made on first use.

    The first connection brings the schema up to date.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._pool: asyncpg.Pool | None = None
        self._making = asyncio.Lock()
        self._closed = False

    async def connect(self, statement_seconds: float = _STATEMENT_SECONDS) -> asyncpg.Connection:
        """Open a connection for one owner, who closes it.

        Args:
            statement_seconds: How long this process waits for an answer before it gives up the line.

        Raises:
            StoreUnreachable: There is no database there now, or it does not let this user in.
        """
        if self._closed:
            raise StoreClosed
        try:
            return await asyncpg.connect(
                self.address.url,
                timeout=_WAIT_SECONDS,
                command_timeout=statement_seconds,
                # A statement that is forgotten costs round trips in the middle of a later transaction.
                statement_cache_size=_STATEMENTS,
                max_cached_statement_lifetime=0,
                server_settings=_SETTINGS,
            )
        except _TURNED_AWAY as error:
            raise StoreUnreachable(self.address.shown, str(error)) from None
        except ValueError:
            # Its text may quote what stands in the URL where a port should, and that may be a password.
            raise StoreUnreachable(self.address.shown, "the URL cannot be read") from None
        except LOST as error:
            raise StoreUnreachable(self.address.shown, type(error).__name__) from None

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[asyncpg.Connection]:
        """Borrow a connection of the pool.

        Raises:
            StoreUnreachable: There is no database there, or no connection became free in time; or the line was
                lost meanwhile, and what was asked can be asked again.
            StoreBusy: Others held what was needed for too long; nothing was written.
            StoreClosed: The store is shut.
        """
        try:
            async with asyncio.timeout(patience()):
                pool = await self._ready()
                async with pool.acquire(timeout=_WAIT_SECONDS) as connection:
                    try:
                        yield connection
                    except asyncio.CancelledError:
                        # A line in the middle of a statement is of no use to the next, and a silent server would
                        # let even its return to the pool wait.
                        connection.terminate()
                        raise
        except COLLIDED as error:
            raise StoreBusy(str(error)) from None
        except LOST as error:
            if self._closed:
                raise StoreClosed from None
            raise StoreUnreachable(self.address.shown, type(error).__name__) from None

    async def begin(self) -> None:
        """Connect now, and bring the schema up to date.

        Raises:
            StoreUnreachable: There is no database there now.
            SchemaTooNew: A later program wrote it.
        """
        await self._ready()

    def close(self) -> None:
        """Drop every connection of the pool at once."""
        self._closed = True
        if self._pool is not None:
            self._pool.terminate()

    async def _ready(self) -> asyncpg.Pool:
        if self._closed:
            raise StoreClosed
        if self._pool is None:
            async with self._making:
                if self._pool is None:
                    self._pool = await self._made()
        return self._pool

    async def _made(self) -> asyncpg.Pool:
        connection = await self.connect()
        try:
            await migrate(connection)
        except LOST as error:
            raise StoreUnreachable(self.address.shown, type(error).__name__) from None
        finally:
            connection.terminate()
        try:
            return await asyncpg.create_pool(
                self.address.url,
                min_size=0,
                max_size=_READERS,
                timeout=_WAIT_SECONDS,
                command_timeout=_STATEMENT_SECONDS,
                server_settings=_SETTINGS,
            )
        except LOST as error:
            raise StoreUnreachable(self.address.shown, type(error).__name__) from None


def pause_before(attempt: int) -> float:
    """Tell how long to wait before trying again, in seconds: longer each time, up to 2, never the same for two."""
    return random.uniform(0.5, 1.0) * min(0.05 * 2.0 ** min(attempt, 6), 2.0)  # noqa: S311  # spreads load, hides nothing


Connection = Any
"""An asyncpg connection, borrowed or owned: its two classes share no name."""
