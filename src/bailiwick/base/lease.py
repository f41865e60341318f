"""The refusal that tells whoever held a step that it is another's now."""

from bailiwick.base.refusal import Category, Refusal


class LeaseLost(Refusal, code="lease_lost", category=Category.CONFLICT):
    """The caller holds the step no longer; whatever it reports is thrown away."""

    step: str
    epoch: int
    held: int
    says = "epoch {epoch} of step {step} was superseded by {held}"
    remedy = "stop working on this step; its current holder goes on"
