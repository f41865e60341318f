"""Reading: one statement on a borrowed connection, which sees all that was committed before it."""

from collections.abc import Callable
from typing import TypeVar

import asyncpg

from bailiwick.stores.postgres.connect import Lines
from bailiwick.stores.postgres.statements import SQL
from bailiwick.stores.refusals import StoreUnreachable
from bailiwick.stores.rows import Row

T = TypeVar("T")


class Reads:
    """Reads of the store; each is repeated once when its connection turned out to be dead."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    async def few(self, statement: str, values: Row) -> list[Row]:
        """Read rows.

        Raises:
            StoreClosed: The store is shut.
            StoreUnreachable: There is no database there now.
        """
        try:
            return await self._fetch(statement, values)
        except StoreUnreachable:
            return await self._fetch(statement, values)

    async def one(self, statement: str, values: Row, shape: Callable[[Row], T]) -> T | None:
        """Read at most one row by key."""
        rows = await self.few(statement, values)
        return shape(rows[0]) if rows else None

    async def scan(self, statement: str, values: Row, shape: Callable[[Row], T]) -> list[T]:
        """Read rows and shape each."""
        return [shape(row) for row in await self.few(statement, values)]

    async def _fetch(self, statement: str, values: Row) -> list[Row]:
        async with self._lines.borrowed() as connection:
            try:
                found = await connection.fetch(SQL[statement], *values)
            except asyncpg.CharacterNotInRepertoireError:
                return []  # no stored text holds a NUL, so nothing is named by one
            return [tuple(row) for row in found]
