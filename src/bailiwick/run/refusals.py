"""What the machine refuses."""

from typing import ClassVar

from bailiwick.base import Category, Instant, Refusal, format_instant


class NotAllowed(Refusal):
    """The command does not fit the state; nothing was changed."""

    code: ClassVar[str] = "illegal_transition"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, command: str, state: str, run: str, of: str = "") -> None:
        what = f"{of} is {state}" if of else f"the run is {state}"
        super().__init__(
            f"{command} is not possible: {what}",
            remedy="look at the run's state; docs/concepts.md lists what each state allows",
            command=command,
            state=state,
            run=run,
            of=of,
        )


class Outdated(Refusal):
    """A call's workspace would be stored over newer work of its line; nothing was changed."""

    code: ClassVar[str] = "outdated_workspace"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, run: str, step: str, base: str, tree: str) -> None:
        super().__init__(
            f"the call built on workspace {base[:12] or 'without files'}, and {step} is at {tree[:12] or 'none'}",
            remedy="do the call again on the newest workspace",
            run=run,
            step=step,
            base=base,
            tree=tree,
        )


class NotOfTheConflict(Refusal):
    """A workspace to take is of a step that has no part in the conflict."""

    code: ClassVar[str] = "not_of_the_conflict"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, *, run: str, step: str, take: str, of: tuple[str, ...]) -> None:
        super().__init__(
            f"{take[:80]} has no part in the conflict of {step}",
            remedy=f"take one of: {', '.join(of)}; or name a stored workspace by its digest",
            run=run,
            step=step,
            take=take[:80],
        )


class StillInConflict(Refusal):
    """What a step left settles only a part of a conflict."""

    code: ClassVar[str] = "still_in_conflict"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, run: str, step: str, left: str) -> None:
        super().__init__(
            f"{step} would still be in conflict: {left}",
            remedy="take a step that wrote each of these paths, or name a stored workspace: --tree DIGEST",
            run=run,
            step=step,
            left=left,
        )


class PastPivot(Refusal):
    """The run has done what its plan calls the point of no return; it can only go forward."""

    code: ClassVar[str] = "past_pivot"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, run: str, step: str) -> None:
        super().__init__(
            f"step {step} is the point of no return, and it is done",
            remedy="go forward: repair what is wrong with a new run; what this run did stays",
            run=run,
            step=step,
        )


class LeaseLost(Refusal):
    """The caller holds the step no longer; whatever it reports is thrown away."""

    code: ClassVar[str] = "lease_lost"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, step: str, epoch: int, held: int) -> None:
        super().__init__(
            f"epoch {epoch} of step {step} was superseded by {held}",
            remedy="stop working on this step; its current holder goes on",
            step=step,
            epoch=epoch,
            held=held,
        )


class OutcomeUnknown(Refusal):
    """The step cannot go on while nobody knows what became of one of its actions."""

    code: ClassVar[str] = "outcome_unknown"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, run: str, step: str, key: str, capability: str) -> None:
        super().__init__(
            f"whether {capability} happened is unknown (step {step})",
            remedy=(
                f'find out, then: bailiwick runs resolve {run} {key} --done --reason "HOW YOU KNOW" '
                "(or --failed, if it never happened)"
            ),
            run=run,
            step=step,
            key=key,
            capability=capability,
        )


class AnswerLacking(Refusal):
    """What a step reads of another is not known: that one's action is done, and nobody has said what it answered."""

    code: ClassVar[str] = "answer_lacking"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, run: str, step: str, key: str) -> None:
        super().__init__(
            f"step {step} is done, and what its action answered is not known",
            remedy=f'say it: bailiwick runs resolve {run} {key} --done --result JSON --reason "HOW YOU KNOW"',
            run=run,
            step=step,
            key=key,
        )


class InQuarantine(Refusal):
    """Nobody can know yet that an action never happened: it may still arrive at the other side."""

    code: ClassVar[str] = "in_quarantine"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, run: str, key: str, until: Instant) -> None:
        super().__init__(
            f"until {format_instant(until)} the action may still take effect",
            remedy="look again after that instant; or say `despite_quarantine` with a reason, and own a late arrival",
            run=run,
            key=key,
            until=format_instant(until),
        )


class NoSuchAction(Refusal):
    """The run's journal has no action of that key."""

    code: ClassVar[str] = "no_such_action"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, *, run: str, key: str) -> None:
        super().__init__(
            f"run {run} has no action {key}",
            remedy="list the run's actions: bailiwick runs get RUN",
            run=run,
            key=key,
        )
