"""The witness: another party's memory of our logs, reached by a file or over the network."""

from typing import Protocol

from bailiwick.audit import Growth
from bailiwick.base import Category, Refusal


class WitnessUnavailable(Refusal, code="witness_unavailable", category=Category.UNAVAILABLE):
    """A witness cannot be reached, or did not answer as the protocol says."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"the witness {name} did not take the checkpoint: {reason}",
            remedy="check its address and that it knows this log's verifier key; the next checkpoint is shown to it again",
            witness=name,
            reason=reason,
        )


class Witness(Protocol):
    """Keeps the newest head of each log that it was shown, outside our reach; `name` is a path or an address."""

    name: str

    async def add(self, origin: str, growth: Growth) -> str:
        """Show it a log's growth.

        Returns:
            The lines by which it cosigned the head; empty when it only keeps it.

        Raises:
            WitnessBehind: It last saw another size, which is in the facts.
            HistoryRewritten: It saw another history.
            WitnessUnavailable: It cannot be reached or did not understand.
        """
        ...
