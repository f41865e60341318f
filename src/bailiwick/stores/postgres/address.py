"""Addresses: where a PostgreSQL is, said in a URL whose password is never shown."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec


class Address(msgspec.Struct, frozen=True):
    """A PostgreSQL URL; as text it has no password."""

    url: str

    @property
    def shown(self) -> str:
        """The URL without any password: what logs, refusals and pages may say."""
        parts = urlsplit(self.url)
        netloc = parts.netloc
        if "@" in netloc:
            user, _, host = netloc.rpartition("@")
            netloc = f"{user.partition(':')[0]}@{host}"
        query = urlencode(
            [(name, "***" if "pass" in name else value) for name, value in parse_qsl(parts.query)]
        )
        return urlunsplit((parts.scheme, netloc, parts.path, query, ""))

    def __repr__(self) -> str:
        return f"Address({self.shown})"

    __str__ = __repr__


def is_postgres(store: str) -> bool:
    """Whether a setting names a PostgreSQL and not a data directory."""
    return store.startswith(("postgres://", "postgresql://"))
