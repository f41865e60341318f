"""What a probe answers, for authors of tools."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Probe:
    """Whether an action was applied; the result of a tool that another names as its `probe`.

    Such a tool only reads. It takes `key`, the effect's key, and `arguments`, what the action was made with, and is asked
    after the action's quarantine: what is not there then will not come any more.

    Attributes:
        answer: applied, not-applied or cannot-tell.
        reference: What it is found by at the other side, if it was applied.
        output: What the action answered, if that can still be known; held to its contract before anybody uses it.
    """

    answer: Literal["applied", "not-applied", "cannot-tell"]
    reference: str = ""
    output: dict[str, Any] | None = None
