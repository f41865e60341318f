"""Accompanying: what a change brings with it unasked: requests to people that are moot, costs nobody reported."""

from msgspec.structs import replace

from bailiwick.ports import ApprovalState, MoveApproval, Views, World
from bailiwick.run import CallState, Run
from bailiwick.service.core.changes import Extra
from bailiwick.service.core.lineage import Decided
from bailiwick.service.core.postings import unreported

_AWAITED = (CallState.HELD, CallState.GRANTED)
_DROPPED = (CallState.CANCELED, CallState.REFUSED)
_OPEN = (ApprovalState.PENDING, ApprovalState.APPROVED)


async def accompany(decided: Decided, extra: Extra, views: Views, world: World) -> Extra:
    """Add what follows from the events of a run that exists to what its caller commits beside them."""
    before = decided.before
    assert before is not None, "a run that is being opened has neither actions nor costs"
    if before.calls is decided.after.calls:
        return extra
    lines = unreported(world, before, decided.plan, decided.events, extra.postings)
    moves = await _withdrawn(before, decided.after, extra, views, world)
    if not lines and not moves:
        return extra
    return replace(
        extra,
        postings=(*extra.postings, *lines),
        moved_approvals=(*extra.moved_approvals, *moves),
    )


async def _withdrawn(
    before: Run, after: Run, extra: Extra, views: Views, world: World
) -> tuple[MoveApproval, ...]:
    """Take back the requests to people whose actions can no longer happen."""
    moved = [move.approval.id for move in extra.moved_approvals]
    moves: list[MoveApproval] = []
    for key in before.tally.open_calls:
        call = after.calls[key]
        if before.calls[key].state not in _AWAITED or call.state not in _DROPPED or call.approval in moved:
            continue
        approval = await views.approval(after.tenant, call.approval)
        own = approval is not None and (approval.run, approval.digest) == (after.id, call.digest)
        if approval is not None and own and approval.state in _OPEN:
            why = call.reason or "the step that asked for it has ended"
            taken = replace(
                approval, state=ApprovalState.WITHDRAWN, decided_by="", decided_at=world.now(), reason=why
            )
            moves.append(MoveApproval(approval.state, taken, unexpired=False))
    return tuple(moves)
