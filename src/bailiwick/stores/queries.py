"""The statements of each store by name, for whoever inspects or breaks them on purpose."""

from typing import Final

from bailiwick.stores.postgres.statements import SQL as POSTGRES
from bailiwick.stores.sqlite.statements import SQL as SQLITE

_STATEMENTS: Final = {"sqlite": SQLITE, "postgres": POSTGRES}
STORES: Final = tuple(_STATEMENTS)


def statements_of(store: str) -> dict[str, str]:
    """Give a store's statements; whoever changes the answer changes the store of this process."""
    return _STATEMENTS[store]
