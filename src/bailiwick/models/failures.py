"""What a provider's failure means for us: its category, whether it may be repeated, and a safe message."""

import re2  # type: ignore[import-untyped]
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelTimeoutError,
)

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, Usage

MAX_MESSAGE = 400
_SECRET = re2.compile(
    r"(?i:bearer|basic)\s+[^\s\"',;]{6,}"
    r"|\b(?:sk|pk|rk|api|key)-[A-Za-z0-9_*.\-]{6,}"
    r"|(?i:api[_-]?key|token|secret|password)[\"']?\s*[:=]\s*[\"']?[^\s\"',;&}]{6,}"
)
_NOT_THERE = (404, 410)
_RETIRED = ("model_not_found", "model_decommissioned", "invalid_model", "DeploymentNotFound")
"""What providers call a model that they do not serve (any more), whatever the status; 400 is usual."""
_NOTHING = Usage(input_tokens=0, output_tokens=0)


def scrubbed(text: str, secret: str) -> str:
    """Bound a provider's message and take secrets out of it: the key that was used, and what looks like one."""
    known = text.replace(secret, "[secret]") if secret else text
    return str(_SECRET.sub("[secret]", known))[:MAX_MESSAGE]


def failure_of(error: Exception, secret: str, used: Usage, *, began: bool) -> CallFailed:
    """Translate a failure.

    Args:
        error: What the model library raised.
        secret: The key that was used, to be taken out of the message.
        used: The estimate of what was used, charged unless the provider provably did no work.
        began: Whether anything of the answer had come.
    """
    message = scrubbed(_words_of(error), secret)
    if isinstance(error, ModelHTTPError):
        refused = _refused(error, message, used)
        if not error.in_stream and not began:
            return refused
        return CallFailed(refused.category, message, retry_after=error.retry_after, usage=used)
    if isinstance(error, ModelConnectionError):
        if error.phase in ("connect", "pool"):
            return CallFailed(ErrorCategory.TRANSIENT, message, unsent=True, usage=_NOTHING)
        timed_out = isinstance(error, ModelTimeoutError)
        return CallFailed(
            ErrorCategory.TIMEOUT if timed_out else ErrorCategory.TRANSIENT, message, usage=used
        )
    if isinstance(error, ModelAPIError):
        return CallFailed(ErrorCategory.TRANSIENT, message, retry_after=error.retry_after, usage=used)
    return CallFailed(ErrorCategory.TRANSIENT, message, usage=used)


def _refused(error: ModelHTTPError, message: str, used: Usage) -> CallFailed:
    """Translate an error status that came instead of an answer."""
    after = error.retry_after
    if _retired(error):
        return CallFailed(ErrorCategory.REJECTED, message, gone=True, usage=_NOTHING)
    match error.status_code:
        case status if status == 402 or isinstance(error, ModelQuotaExceededError):
            return CallFailed(ErrorCategory.EXHAUSTED, message, unsent=True, usage=_NOTHING)
        case 429:
            return CallFailed(
                ErrorCategory.RATE_LIMITED, message, unsent=True, retry_after=after, usage=_NOTHING
            )
        case 503:
            return CallFailed(
                ErrorCategory.TRANSIENT, message, unsent=True, retry_after=after, usage=_NOTHING
            )
        case 401 | 403:
            return CallFailed(ErrorCategory.DENIED, message, usage=_NOTHING)
        case 408 | 409 | 425:
            return CallFailed(ErrorCategory.TRANSIENT, message, retry_after=after, usage=used)
        case status if status < 500:
            return CallFailed(ErrorCategory.REJECTED, message, usage=_NOTHING)
        case _:
            return CallFailed(ErrorCategory.TRANSIENT, message, retry_after=after, usage=used)


def _retired(error: ModelHTTPError) -> bool:
    """Whether the provider does not serve the model: a matter of configuration, not of what was asked."""
    named = error.provider_error_code in _RETIRED
    return isinstance(error, ModelNotFoundError) or named or error.status_code in _NOT_THERE


def _words_of(error: Exception) -> str:
    if not isinstance(error, ModelHTTPError):
        return str(error) or type(error).__name__
    body = error.body
    words = body.get("message", body) if isinstance(body, dict) else body
    return f"the provider answered {error.status_code}: {words}"
