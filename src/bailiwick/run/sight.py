"""What `decide` may see besides state and command: recorded contents, and the judge of what may start."""

from collections.abc import Callable, Mapping

import msgspec

from bailiwick.base import Digest, Instant, Json, Refusal
from bailiwick.contract import Contract
from bailiwick.policy import Verdict
from bailiwick.run.merging import Join, Merged, TreesNeeded
from bailiwick.run.state import Run


class ContentNeeded(Exception):
    """`decide` must read payloads that were not handed in; load them and decide again."""

    def __init__(self, seqs: tuple[int, ...]) -> None:
        super().__init__(f"payloads {seqs}")
        self.seqs = seqs


class Start(msgspec.Struct, frozen=True):
    """A step that is about to become ready: itself an action, judged before it happens; `run` is the state then."""

    run: Run
    step: str
    contract: Contract
    input_digest: Digest


class Sight(msgspec.Struct, frozen=True):
    """The world as data. `contents` maps an event's seq to its payload, parsed; `judge` is pure; `merges` holds
    what came of the merges that this decision needs.
    """

    at: Instant
    contents: Mapping[int, Json]
    contracts: Mapping[str, Contract]
    judge: Callable[[Start], Verdict]
    merges: Mapping[Join, Merged] = {}

    def merged(self, join: Join) -> Merged:
        """Find what came of a merge.

        Raises:
            TreesNeeded: It was not handed in.
        """
        if join not in self.merges:
            raise TreesNeeded(join)
        return self.merges[join]

    def contract(self, ref: str) -> Contract | None:
        """Find a contract that the run holds on to; None when it is not kept."""
        try:
            return self.contracts[ref]
        except (KeyError, Refusal):
            return None

    def payload(self, seq: int) -> Json:
        """Read the payload of an event of this run.

        Raises:
            ContentNeeded: It was not handed in.
        """
        if seq not in self.contents:
            raise ContentNeeded((seq,))
        return self.contents[seq]
