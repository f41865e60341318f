"""What the machine refuses."""

from bailiwick.base import Category, Moment, Refusal, Short


class NotAllowed(Refusal, code="illegal_transition", category=Category.CONFLICT):
    """The command does not fit the state; nothing was changed."""

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


class Outdated(Refusal, code="outdated_workspace", category=Category.CONFLICT):
    """A call's workspace would be stored over newer work of its line; nothing was changed."""

    def __init__(self, *, run: str, step: str, base: str, tree: str) -> None:
        super().__init__(
            f"the call built on workspace {base[:12] or 'without files'}, and {step} is at {tree[:12] or 'none'}",
            remedy="do the call again on the newest workspace",
            run=run,
            step=step,
            base=base,
            tree=tree,
        )


class NotOfTheConflict(Refusal, code="not_of_the_conflict", category=Category.INVALID):
    """A workspace to take is of a step that has no part in the conflict."""

    run: str
    step: str
    take: Short
    of: tuple[str, ...]
    spoken = ("of",)
    says = "{take} has no part in the conflict of {step}"
    remedy = "take one of: {of!l}; or name a stored workspace by its digest"


class StillInConflict(Refusal, code="still_in_conflict", category=Category.CONFLICT):
    """What a step left settles only a part of a conflict."""

    run: str
    step: str
    left: str
    says = "{step} would still be in conflict: {left}"
    remedy = "take a step that wrote each of these paths, or name a stored workspace: --tree DIGEST"


class PastPivot(Refusal, code="past_pivot", category=Category.CONFLICT):
    """The run has done what its plan calls the point of no return; it can only go forward."""

    run: str
    step: str
    says = "step {step} is the point of no return, and it is done"
    remedy = "go forward: repair what is wrong with a new run; what this run did stays"


class OutcomeUnknown(Refusal, code="outcome_unknown", category=Category.CONFLICT):
    """The step cannot go on while nobody knows what became of one of its actions."""

    run: str
    step: str
    key: str
    capability: str
    says = "whether {capability} happened is unknown (step {step})"
    remedy = (
        'find out, then: bailiwick runs resolve {run} {key} --done --reason "HOW YOU KNOW" (or --failed, '
        "if it never happened)"
    )


class AnswerLacking(Refusal, code="answer_lacking", category=Category.CONFLICT):
    """What a step reads of another is not known: that one's action is done, and nobody has said what it answered."""

    run: str
    step: str
    key: str
    says = "step {step} is done, and what its action answered is not known"
    remedy = 'say it: bailiwick runs resolve {run} {key} --done --result JSON --reason "HOW YOU KNOW"'


class InQuarantine(Refusal, code="in_quarantine", category=Category.CONFLICT):
    """Nobody can know yet that an action never happened: it may still arrive at the other side."""

    run: str
    key: str
    until: Moment
    says = "until {until} the action may still take effect"
    remedy = (
        "look again after that instant; or say `despite_quarantine` with a reason, and own a late arrival"
    )


class NoSuchAction(Refusal, code="no_such_action", category=Category.ABSENT):
    """The run's journal has no action of that key."""

    run: str
    key: str
    says = "run {run} has no action {key}"
    remedy = "list the run's actions: bailiwick runs get RUN"
