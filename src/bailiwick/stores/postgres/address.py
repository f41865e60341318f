"""Addresses: where a PostgreSQL is, said in a URL whose password is never shown."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

_ENDS_USER: Final = re.compile(r"[:/?#]")
_NO_PORT: Final = re.compile(r":(?!\d*(?:[/,]|$))[^/,\]]*(?=[/,]|$)")


class Address(msgspec.Struct, frozen=True):
    """A PostgreSQL URL; as text it has no password."""

    url: str

    @property
    def shown(self) -> str:
        """The URL without any password: what logs, refusals and pages may say.

        A password that nobody escaped may hold any sign, so nothing before the last `@` is shown but the user, and
        nothing after a colon that is no port.
        """
        scheme, _, rest = self.url.partition("://")
        before, at, after = rest.rpartition("@")
        place, mark, query = after.partition("?")
        given = [(name, "***" if "pass" in name else value) for name, value in parse_qsl(query)]
        user = _ENDS_USER.split(before)[0]
        return f"{scheme}://{user}{at}{_NO_PORT.sub(':***', place)}{mark}{urlencode(given, safe='/*')}"

    def __repr__(self) -> str:
        return f"Address({self.shown})"

    __str__ = __repr__


def is_postgres(store: str) -> bool:
    """Whether a setting names a PostgreSQL and not a data directory."""
    return store.startswith(("postgres://", "postgresql://"))
