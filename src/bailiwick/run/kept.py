"""Kept: a step whose contract is gone is blocked, for without it nobody can say what would be done."""

from bailiwick.run.events import Move
from bailiwick.run.standing import Standing, StandingKind
from bailiwick.run.state import Run
from bailiwick.run.states import StepStatus


def not_kept(run: Run, step: str, ref: str) -> Move:
    """Block a step until the contract that it needs is there again."""
    reason = (
        f"the contract of {ref} is not kept any more; restore the artifacts, or offer it again as it was, "
    )
    standing = Standing(StandingKind.CAPABILITY, ref)
    return Move(
        step, StepStatus.BLOCKED, reason=f"{reason}then: bailiwick runs resume {run.id}", standing=standing
    )
