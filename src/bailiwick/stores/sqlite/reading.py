"""Reading: point reads on the caller's thread, scans on another."""

from collections.abc import Callable
from typing import TypeVar

import apsw

from bailiwick.stores.refusals import StoreClosed
from bailiwick.stores.rows import Row
from bailiwick.stores.sqlite.statements import SQL
from bailiwick.stores.sqlite.threads import Asks

T = TypeVar("T")


class Reads:
    """Two ways to read: `one` and `few` answer at once, for reads by key that take microseconds;
    `scan` asks elsewhere (the reader thread), for all that could keep the loop waiting.
    """

    def __init__(self, near: apsw.Connection, far: Asks) -> None:
        self._near: apsw.Connection | None = near
        self._far = far

    def few(self, statement: str, values: Row) -> list[Row]:
        """Read a bounded number of rows by key, on the caller's thread (always the same one).

        Raises:
            StoreClosed: The store is shut.
        """
        if self._near is None:
            raise StoreClosed
        return self._near.execute(SQL[statement], values).fetchall()

    def one(self, statement: str, values: Row, shape: Callable[[Row], T]) -> T | None:
        """Read at most one row by key."""
        rows = self.few(statement, values)
        return shape(rows[0]) if rows else None

    async def scan(self, statement: str, values: Row, shape: Callable[[Row], T]) -> list[T]:
        """Read rows on the reader thread."""
        return await self._far.ask(
            lambda connection: [shape(row) for row in connection.execute(SQL[statement], values)]
        )

    def close(self) -> None:
        """Close both connections."""
        self._far.close()
        if self._near is not None:
            self._near.close()
            self._near = None
