"""How the code of a tool says no."""

from typing import ClassVar

from bailiwick.contract import ErrorCategory


class ToolFailed(Exception):
    """Raised by a tool that did nothing: the agent reads the reason, and may go on from it.

    Any other exception is what the tool's class says: of a read that it failed, of an idempotent write that it is to
    be repeated with its key, of an external action that nobody knows what became of it.

    Args:
        reason: A sentence for the agent; what stands in it is recorded.
        category: tool-failed, transient, rate-limited, exhausted, denied, rejected or conflict. After transient and
            rate-limited the call is tried again.
        retry_after: The least seconds until then, > 0.

    Raises:
        ValueError: Another category, or a time that is none.
    """

    CATEGORIES: ClassVar = (
        ErrorCategory.TOOL_FAILED,
        ErrorCategory.TRANSIENT,
        ErrorCategory.RATE_LIMITED,
        ErrorCategory.EXHAUSTED,
        ErrorCategory.DENIED,
        ErrorCategory.REJECTED,
        ErrorCategory.CONFLICT,
    )

    def __init__(
        self, reason: str, *, category: str = ErrorCategory.TOOL_FAILED, retry_after: float | None = None
    ) -> None:
        super().__init__(reason)
        if category not in self.CATEGORIES:
            raise ValueError(
                f"the category of a tool that did nothing is one of {', '.join(self.CATEGORIES)}"
            )
        if retry_after is not None and not 0 < retry_after < float("inf"):
            raise ValueError("retry_after is a number of seconds above 0")
        self.reason = reason
        self.category = ErrorCategory(category)
        self.retry_after = retry_after

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later."""
        return self.category in (ErrorCategory.TRANSIENT, ErrorCategory.RATE_LIMITED)
