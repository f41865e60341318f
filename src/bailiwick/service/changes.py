"""Changes: what somebody wants done to a run, who it is, and what is committed beside the events."""

from collections.abc import Awaitable, Callable

import msgspec

from bailiwick.base import Json
from bailiwick.plan import Plan
from bailiwick.ports import Approval, Draft, MoveApproval, Posting, Submission
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
    """Who and what an event names as its cause: `actor` (user:ID, agent:REF, worker:SESSION, timer:NAME)."""

    actor: str
    cause: str = ""


class Change(msgspec.Struct, frozen=True):
    """A command with what goes beside it; `offer` is a session that would take the run's next step."""

    command: Command
    record: Record
    extra: Extra = Extra()
    offer: Offer | None = None


Changer = Callable[[Run, Plan], Awaitable[Change | None]]
"""Looks at a run and says what to do; None: nothing. It may be asked again when another was faster."""
