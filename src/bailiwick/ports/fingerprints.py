"""Fingerprints: what the ledger knows of the keys that it was written with."""

from collections.abc import Mapping
from typing import Protocol


class Fingerprints(Protocol):
    """The fingerprints of the deployment's keys, by the name of each key; nothing secret can be told from them."""

    async def read(self) -> Mapping[str, str]:
        """Read what is recorded."""
        ...

    async def adopt(self, values: Mapping[str, str]) -> None:
        """Record those of keys that have none yet; what is recorded stands."""
        ...

    async def replace(self, values: Mapping[str, str]) -> None:
        """Record that other keys have taken their places."""
        ...
