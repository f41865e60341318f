"""Logs: one JSON object (or one readable line) per event on standard error, with nothing in it that acts on a terminal."""

import logging
import re
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Controls, line and paragraph separators, and the characters that turn the direction of text.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_KEEPS_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
LEVELS = ("debug", "info", "warning", "error", "critical")


def configure_logging(level: str = "info", stream: TextIO | None = None, *, json: bool = True) -> None:
    """Set up logging for this process, for structlog and for libraries that use the standard logging.

    Fields bound to the current context (run_id, trace_id, causation_id) are in every line.

    Args:
        level: The least that is shown: one of `LEVELS`.
        stream: Where to; standard error when None.
        json: One JSON object per line; else lines for people.

    Raises:
        ValueError: There is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}; choose of {', '.join(LEVELS)}")
    number = logging.getLevelNamesMapping()[level.upper()]
    out = stream if stream is not None else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    render: list[Processor] = [render_json] if json else [escape_values, _for_people(out)]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render an event as one line of JSON; characters that hide or act are written as escapes."""
    try:
        line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, or an integer over 64 bits: only then is everything looked at
        line = orjson.dumps(_plain(event), default=str).decode()
    return _KEEPS_JSON.sub(_escape, line)


def escape_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what hides or acts in all texts of an event, line by line for tracebacks."""
    return {_HIDDEN.sub(_escape, str(name)): _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: Any) -> Any:
    if name == "exception" and isinstance(value, str):
        return "\n".join(_HIDDEN.sub(_escape, line) for line in value.split("\n"))
    if isinstance(value, bool | int | float | None):
        return value
    return _HIDDEN.sub(_escape, value if isinstance(value, str) else repr(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(str(name)): _plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, bool | float | None):
        return value
    return re.sub("[\ud800-\udfff]", _escape, str(value))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _for_people(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="at"
    )
