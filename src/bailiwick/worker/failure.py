"""How the work on a step fails: with a category that routes what happens next."""

from bailiwick.contract import ErrorCategory


class StepFailed(Exception):
    """An attempt ends without an output.

    Args:
        category: Why; retries and fallbacks go by it.
        reason: A sentence for people, and for the next attempt's feedback.
        findings: What architect rules found.
        retry_after: Seconds that another side asked to wait.
    """

    def __init__(
        self,
        category: ErrorCategory,
        reason: str,
        *,
        rules: tuple[str, ...] = (),
        findings: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.category = category
        self.reason = reason
        self.rules = rules
        self.findings = findings
        self.retry_after = retry_after
