"""Conditions: `when` and `until`, in CEL over what the run knows; what is not plainly true never counts as true."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]

from bailiwick.base import Category, Json, Refusal

MAX_CONDITION_BYTES = 2048
_NO_OVERLOAD = "No matching overloads"
VARIABLES = ("intent", "context", "brief", "steps")

# A chain of map or filter, or macros inside one another, can double a value at every link: 2 KB of text
# then cost gigabytes. Without them the cost is bounded by the text times the data.
_ENVIRONMENT = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml("stdlib: {exclude_macros: [map, filter]}"),
    variables=dict.fromkeys(VARIABLES, cel.Type.DYN),
)
_MACROS = ("all", "exists", "exists_one", "map", "filter")
_TOKEN = re.compile(
    r"""(?P<gap>\s+|//[^\n]*)
    |(?P<raw>(?i:rb|br|r)(?:\"{3}(?s:.*?)\"{3}|'{3}(?s:.*?)'{3}|"[^"\n\r]*"|'[^'\n\r]*'))
    |(?P<string>(?i:b)?(?:\"{3}(?s:(?:[^\\]|\\.)*?)\"{3}|'{3}(?s:(?:[^\\]|\\.)*?)'{3}
        |"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_ENDS_AN_OPERAND = re.compile(r"[\w)\]}\"'`]\Z")


class InvalidCondition(Refusal, code="invalid_condition", category=Category.INVALID):
    """A text is not a condition that could be decided."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(
            f"{text[:120]!r} is not a condition: {reason}",
            remedy=f"write a CEL expression over {', '.join(VARIABLES)} that yields true or false, at most 2 KB",
            condition=text[:120],
            reason=reason,
        )


class ConditionFailed(Refusal, code="condition_failed", category=Category.INVALID):
    """A condition could not be decided on what the run knows; it is neither true nor false."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(
            f"the condition {text[:120]!r} cannot be decided: {reason}",
            remedy="guard what may be missing with has(…), and compare to yield true or false",
            condition=text[:120],
            reason=reason,
        )


def check_condition(text: str) -> None:
    """Compile a condition, once, and remember it.

    Raises:
        InvalidCondition: Too long, not CEL, an unknown variable, or of another type than boolean.
    """
    _compiled(text)


def holds(text: str, values: Mapping[str, Json]) -> bool:
    """Decide a condition.

    Args:
        text: The condition, for example `steps.review.output.verdict == "pass"`.
        values: Under `intent`, `context`, `brief` and `steps` (id -> {"output", "status"}).

    Raises:
        InvalidCondition: The text is no condition.
        ConditionFailed: The evaluation ended in an error, or in something else than true or false.
    """
    expression = _compiled(text)
    data = {name: values.get(name, {}) for name in VARIABLES}
    try:
        kind, answer = _evaluated(expression, data)
        if kind == cel.Type.ERROR and _NO_OVERLOAD in str(answer):
            # A number that is written 1 where another run has 0.9: CEL tells the two kinds apart, JSON does not.
            kind, answer = _evaluated(_fractional(text), _floats(data))
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise ConditionFailed(text, str(error)[:300]) from error
    if kind != cel.Type.BOOL or not isinstance(answer, bool):
        reason = str(answer)[:300] if kind == cel.Type.ERROR else f"it yields a value of type {kind.name()}"
        raise ConditionFailed(text, reason)
    return answer


def _evaluated(expression: cel.Expression, data: Mapping[str, Json]) -> tuple[Any, Any]:
    result = expression.eval(data=data)
    return result.type(), result.value()


def _floats(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int():
            return float(value)
        case dict():
            return {key: _floats(inner) for key, inner in value.items()}
        case list():
            return [_floats(inner) for inner in value]
    return value


@lru_cache(maxsize=1024)
def _fractional(text: str) -> cel.Expression:
    """Compile an expression with each of its whole numbers written as a fraction."""
    written = "".join(
        f"{token.group()}.0" if token.lastgroup == "number" and token.group().isdecimal() else token.group()
        for token in _TOKEN.finditer(text)
    )
    return _ENVIRONMENT.compile(written)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> cel.Expression:
    if len(text) > MAX_CONDITION_BYTES or len(text.encode(errors="replace")) > MAX_CONDITION_BYTES:
        raise InvalidCondition(text, f"it is longer than {MAX_CONDITION_BYTES} bytes")
    if _macros_nest(text):
        raise InvalidCondition(
            text, "all, exists and exists_one do not stand inside one another, map and filter not at all"
        )
    try:
        expression = _ENVIRONMENT.compile(text)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidCondition(text, str(error)[:400]) from error
    if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise InvalidCondition(text, f"it yields {expression.return_type().name()}, not true or false")
    return expression


def variables_in(text: str) -> tuple[str, ...]:
    """List which of the four variables a condition names, in the order of `VARIABLES`."""
    tokens = _tokens(text)
    named = [tokens[at] for at in range(len(tokens)) if _is_variable(tokens, at)]
    return tuple(name for name in VARIABLES if name in named)


def identifiers(text: str) -> tuple[str, ...] | None:
    """List the ids of the steps that a condition reads (`steps.<id>`, `steps["<id>"]`), each once.

    Returns:
        The ids in the order of the text; None when it reads `steps` in any other way (a computed
        name, the map as a whole): then every step may be read.
    """
    tokens = _tokens(text)
    found: list[str] = []
    for at, word in enumerate(tokens):
        if word != "steps" or not _is_variable(tokens, at):
            continue
        match tokens[at + 1 : at + 4]:
            case [".", name, *rest] if name.isidentifier() and rest[:1] != ["("]:
                found.append(name)
            case ["[", quoted, "]"] if (
                quoted[0] in "\"'" and quoted[:3] not in ('"""', "'''") and "\\" not in quoted
            ):
                found.append(quoted[1:-1])
            case _:
                return None
    return tuple(dict.fromkeys(found))


def _macros_nest(text: str) -> bool:
    tokens = _tokens(text)
    inside: list[bool] = []
    for at, word in enumerate(tokens):
        if word == "(":
            macro = at >= 2 and tokens[at - 1] in _MACROS and tokens[at - 2] == "."
            if macro and (tokens[at - 1] in ("map", "filter") or any(inside)):
                return True
            inside.append(macro)
        elif word == ")" and inside:
            inside.pop()
    return False


def _tokens(text: str) -> list[str]:
    return [match.group() for match in _TOKEN.finditer(text) if match.lastgroup != "gap"]


def _is_variable(tokens: list[str], at: int) -> bool:
    """Whether a name stands for itself: not a field of something, as in `brief.steps`."""
    if tokens[at] not in VARIABLES:
        return False
    if at == 0 or tokens[at - 1] not in (".", "?"):
        return True
    before = tokens[at - 2] if at >= 2 else ""
    return before == "in" or not _ENDS_AN_OPERAND.search(before)
