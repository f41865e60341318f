"""The shared store: PostgreSQL, written by any number of processes at a time."""

from bailiwick.stores.postgres.address import Address, is_postgres
from bailiwick.stores.postgres.inspector import PostgresInspector, inspect_postgres
from bailiwick.stores.postgres.store import PostgresStore, migrate_schema, open_postgres, schema_status

__all__ = [
    "Address",
    "PostgresInspector",
    "PostgresStore",
    "inspect_postgres",
    "is_postgres",
    "migrate_schema",
    "open_postgres",
    "schema_status",
]
