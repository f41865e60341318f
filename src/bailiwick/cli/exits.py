"""Exit codes: what a command's end means to the shell that called it."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell sees."""

    OK = 0
    FAILED = 1
    INVALID = 2
    WAITING = 3
    REFUSED = 4
    INTERRUPTED = 130


_BY_CATEGORY = {
    "invalid": ExitCode.INVALID,
    "absent": ExitCode.INVALID,
    "conflict": ExitCode.INVALID,
    "too-large": ExitCode.INVALID,
    "unauthenticated": ExitCode.REFUSED,
    "forbidden": ExitCode.REFUSED,
    "exhausted": ExitCode.REFUSED,
    "limited": ExitCode.REFUSED,
    "unavailable": ExitCode.FAILED,
}
_BY_STATUS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.FAILED,
    "canceled": ExitCode.FAILED,
    "rolled-back": ExitCode.FAILED,
    "waiting-for-approval": ExitCode.WAITING,
    "blocked": ExitCode.WAITING,
}
_FORBIDDEN = (401, 402, 403, 429)


def exit_of_category(category: str) -> ExitCode:
    """Map the category of a refusal."""
    return _BY_CATEGORY[category]


def exit_of_http(status: int) -> ExitCode:
    """Map the HTTP status of a problem."""
    if status in _FORBIDDEN:
        return ExitCode.REFUSED
    return ExitCode.INVALID if status < 500 else ExitCode.FAILED


def exit_of_run(status: str) -> ExitCode:
    """Map the status of a run; one that is under way is no failure."""
    return _BY_STATUS.get(status, ExitCode.OK)
