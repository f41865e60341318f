"""Changes: what somebody wants done to a run, who it is, and what is committed beside the events."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from bailiwick.base import Instant, Json
from bailiwick.plan import Plan
from bailiwick.policy import Principal
from bailiwick.ports import Able, Approval, Draft, MoveApproval, Posting, Submission
from bailiwick.run import Command, Offer, Run


class Extra(msgspec.Struct, frozen=True):
    """What goes into the unit beside the events that the machine decides."""

    payload: Json = None
    new_approvals: tuple[Approval, ...] = ()
    moved_approvals: tuple[MoveApproval, ...] = ()
    postings: tuple[Posting, ...] = ()
    submission: Submission | None = None
    others: tuple[tuple[str, Draft], ...] = ()


class Record(msgspec.Struct, frozen=True):
    """Who and what an event names as its cause: `actor` (user:NAME, agent:REF, worker:SESSION, timer:NAME).

    Of a user, `identity` and `key` are the ids of who it was and of what was shown; `able` says who had made a person
    able to decide what the event decides.
    """

    actor: str
    cause: str = ""
    identity: str = ""
    key: str = ""
    able: tuple[Able, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """What every event of it says."""
        said: dict[str, Any] = {"actor": self.actor}
        if self.cause:
            said["cause"] = self.cause
        if self.identity:
            said["identity"] = self.identity
        if self.key:
            said["api_key"] = self.key
        if self.able:
            said["able"] = msgspec.to_builtins(self.able)
        return said


def record_of(principal: Principal, cause: str = "", able: tuple[Able, ...] = ()) -> Record:
    """Say that a user did it, under which identity and with which key."""
    return Record(f"user:{principal.name}", cause, principal.id, principal.key, able)


class Change(msgspec.Struct, frozen=True):
    """A command with what goes beside it; `offer` is a session that would take the run's next step.

    `at` is the instant of the look that led to it, where the command must be decided as of then; 0: as of now.
    """

    command: Command
    record: Record
    extra: Extra = Extra()
    offer: Offer | None = None
    at: Instant = Instant(0)


Changer = Callable[[Run, Plan], Awaitable[Change | None]]
"""Looks at a run and says what to do; None: nothing. It may be asked again when another was faster."""
