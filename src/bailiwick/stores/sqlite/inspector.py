"""The inspector on SQLite: the invariants, asked of the tables over a connection that cannot write."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import apsw

from bailiwick.audit import commitment, leaf_hash
from bailiwick.ports import Checked, LargePayload, RunHead, StoredEvent, Violation
from bailiwick.stores.clock import machine_time
from bailiwick.stores.refusals import NoLedger
from bailiwick.stores.rows import to_run
from bailiwick.stores.sqlite.connect import Clock, open_reader
from bailiwick.stores.sqlite.statements import INVARIANTS, SQL

_TABLES: Final = tuple(sorted({invariant.over for invariant in INVARIANTS.values()}))

_HAS_FINGERPRINTS: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'fingerprints'"


class SqliteInspector:
    """Implements `ports.Inspector`. One transaction sees one state, so a writer beside it makes no difference.

    Args:
        connection: A connection of its own; `open_inspector` opens one.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        connection.create_scalar_function("leaf_of", _leaf_of, 1, deterministic=True)
        connection.create_scalar_function("commitment_of", _commitment_of, 2, deterministic=True)

    def __enter__(self) -> Self:
        self._connection.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._connection.close()

    async def violations(self) -> Sequence[Violation]:
        """Ask every invariant that the tables alone can answer; empty when all hold."""
        return [
            Violation(name, str(tenant), str(id), str(detail))
            for name, invariant in INVARIANTS.items()
            for tenant, id, detail in self._connection.execute(invariant.sql)
        ]

    async def checked(self) -> Sequence[Checked]:
        """Name these invariants, with how many rows each is asked over."""
        counts = await self.tables()
        return [
            Checked(name, invariant.says, invariant.over, counts[invariant.over])
            for name, invariant in INVARIANTS.items()
        ]

    async def heads(self, after: tuple[str, str], limit: int) -> Sequence[RunHead]:
        """List the heads of all tenants' runs whose (tenant, id) follows `after`."""
        return [to_run(row) for row in self._connection.execute(SQL["select_heads"], (*after, limit))]

    async def events(self, tenant: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Read a stream as it lies there; payloads that lie in the blobs are left out."""
        rows = self._connection.execute(SQL["select_events"], (tenant, stream, after, limit))
        return [
            StoredEvent(stream, seq, header, leaf, body, salt if salt is not None else b"", position)
            for seq, header, leaf, salt, body, _, position in rows
        ]

    async def large_payloads(self, after: int, limit: int) -> Sequence[LargePayload]:
        """List the payloads that lie in the blobs, with position > `after`."""
        rows = self._connection.execute(SQL["select_large_payloads"], (after, limit))
        return [LargePayload(*row) for row in rows]

    async def fingerprints(self) -> Mapping[str, str]:
        """Read the fingerprints of the deployment's keys."""
        if self._connection.execute(_HAS_FINGERPRINTS).get is None:
            return {}  # no server of this release has opened it yet
        return dict(self._connection.execute(SQL["select_fingerprints"]))

    async def tables(self) -> Mapping[str, int]:
        """Count the rows of each table that an invariant is asked over."""
        return {
            table: int(self._connection.execute(f"SELECT count(*) FROM {table}").get)  # noqa: S608 - our own names
            for table in _TABLES
        }


def open_inspector(data_dir: Path, clock: Clock | None = None) -> SqliteInspector:
    """Look at the ledger in a data directory, whoever works on it; use it inside a `with`.

    Raises:
        NoLedger: There is none.
    """
    path = data_dir / "ledger.db"
    if not path.is_file():
        raise NoLedger(str(data_dir))
    return SqliteInspector(open_reader(path, clock or machine_time))


def _leaf_of(*values: Any) -> bytes:
    return leaf_hash(values[0])


def _commitment_of(*values: Any) -> str:
    salt, body = values
    try:
        return commitment(salt, body)
    except ValueError:
        return ""  # no salt of ours: it commits to nothing
