"""Function tools: a Python function of the app's author as a tool; its annotations are the contract."""

import asyncio
import hashlib
import inspect
import math
import threading
import typing
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

import pydantic
from pydantic_core import PydanticSerializationError

from bailiwick.base import Category, Json, Refusal, canonical
from bailiwick.contract import EffectClass, ErrorCategory, Kind, parse_contract
from bailiwick.ports import CallFailed, FrameSink, Stop, ToolCall, ToolResult
from bailiwick.tools.credentials import Credentials, Redactor, Secret
from bailiwick.tools.host import WRITES, Tool

_STRICT = pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False, allow_inf_nan=False)
_FIELD = "field_"
_EXACT = 2**53
_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class InvalidFunction(Refusal, code="invalid_function", category=Category.INVALID):
    """A function cannot be offered as a tool as it is written."""

    name: str
    reason: str
    says = "the function of {name!r} is not a tool: {reason}"
    remedy = (
        "annotate every parameter and the result with types that JSON can carry; a write takes `key: str`"
    )


def function_tool(
    function: Callable[..., Any],
    *,
    name: str,
    version: str = "1.0.0",
    effect: EffectClass = EffectClass.READ_ONLY,
    credentials: Mapping[str, str] | None = None,
    vault: Credentials | None = None,
    **fields: Json,
) -> Tool:
    """Offer a function as a tool.

    A plain function runs in a thread, an `async def` on the loop. A parameter `key: str` of an idempotent write
    receives the effect's key; parameters named in `credentials` receive a `Secret`; neither is part of the schema.
    A result that is no object is given as {"result": ...}.

    Args:
        function: All parameters annotated; called by keyword.
        name: The capability's name.
        version: MAJOR.MINOR.PATCH.
        effect: What a call may do. An exception of a write leaves its outcome unknown, unless it is a
            Refusal or a CallFailed.
        credentials: Parameter to reference (`env:NAME`, `file:/path`), resolved at each call.
        vault: Resolves them; without one every reference is refused.
        fields: Further fields of the contract: summary, tags, timeout_seconds, price_micro_usd, …

    Raises:
        InvalidFunction: Annotations are missing or cannot be JSON; a write without `key`.
        InvalidContract: The name, version or a further field is not valid.
    """
    references = dict(credentials) if credentials is not None else {}
    resolver = vault if vault is not None else Credentials({}, Redactor())
    given = set(references) | ({"key"} if effect is EffectClass.IDEMPOTENT_WRITE else set())
    hints = _hints(name, function, given, references)
    arguments = _arguments_model(name, function, hints, given)
    answer, wrapped = _answer_adapter(name, hints["return"])
    contract = parse_contract(
        {
            "summary": (inspect.getdoc(function) or "").split("\n")[0][:200],
            **fields,
            "name": name,
            "version": version,
            "kind": Kind.TOOL,
            "effect": effect,
            "credentials": tuple(sorted(set(references.values()))),
            "input": arguments.model_json_schema(),
            "output": _output_schema(answer, wrapped=wrapped),
            "code": _fingerprint(function),
        }
    )

    async def run(call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        values = _parse(arguments, call.arguments)
        if "key" in given:
            values["key"] = call.key
        for parameter, reference in references.items():
            values[parameter] = resolver.resolve(reference, allowed=contract.credentials)
        value = await _call(function, values)
        plain = _dump(answer, value, ambiguous=effect in WRITES)
        return ToolResult({"result": plain} if wrapped else plain)

    return Tool(contract, run)


async def _call(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**values)
    outcome: Future[Any] = Future()
    outcome.set_running_or_notify_cancel()  # who waits no longer leaves it be
    work = (copy_context().run, _contained, function, values)
    # A thread of its own, that nobody waits for at the end: those of `to_thread` keep a process up until they return,
    # and are few, and blobs are read and synced in them.
    threading.Thread(target=_fulfil, args=(outcome, *work), name="bailiwick-tool", daemon=True).start()
    return await asyncio.wrap_future(outcome)


def _fulfil(outcome: Future[Any], work: Callable[..., Any], *args: Any) -> None:
    try:
        outcome.set_result(work(*args))
    except BaseException as error:  # whatever it is, the one who waits is told
        outcome.set_exception(error)


def _contained(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    """Call in a thread; what asyncio cannot carry back to the loop becomes an ordinary error."""
    try:
        return function(**values)
    except (SystemExit, StopIteration, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError) as error:
        raise RuntimeError(f"the function ended with {type(error).__name__}") from None


def _hints(
    name: str, function: Callable[..., Any], given: set[str], references: Mapping[str, str]
) -> dict[str, Any]:
    """Read the annotations, and check that the parameters we fill in ourselves are there with their types."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise InvalidFunction(name, f"its annotations cannot be resolved: {error}") from error
    if "return" not in hints:
        raise InvalidFunction(name, "its result has no annotation")
    for parameter in sorted(given):
        wanted = Secret if parameter in references else str
        if hints.get(parameter) is not wanted:
            raise InvalidFunction(name, f"it needs a parameter `{parameter}: {wanted.__name__}`")
    return hints


def _arguments_model(
    name: str, function: Callable[..., Any], hints: dict[str, Any], given: set[str]
) -> type[pydantic.BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _KINDS or parameter.name not in hints:
            raise InvalidFunction(
                name, f"the parameter {parameter.name} has no annotation or is not given by name"
            )
        if parameter.name in given:
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        # A prefix, since pydantic's models have attributes of their own (`json`, `copy`).
        fields[_FIELD + parameter.name] = (
            hints[parameter.name],
            pydantic.Field(default, alias=parameter.name, title=parameter.name),
        )
    try:
        model: type[pydantic.BaseModel] = pydantic.create_model("Arguments", __config__=_STRICT, **fields)
        model.model_json_schema()
    except (pydantic.errors.PydanticUserError, NameError) as error:
        raise InvalidFunction(name, str(error).partition("\n")[0]) from error
    return model


def _answer_adapter(name: str, annotation: Any) -> tuple[pydantic.TypeAdapter[Any], bool]:
    """Make the adapter of the result, and say whether its values must be wrapped to be objects."""
    try:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
        schema = adapter.json_schema(mode="serialization")
    except pydantic.errors.PydanticUserError as error:
        raise InvalidFunction(name, str(error).partition("\n")[0]) from error
    return adapter, schema.get("type") != "object"


def _output_schema(adapter: pydantic.TypeAdapter[Any], *, wrapped: bool) -> dict[str, Any]:
    schema = adapter.json_schema(mode="serialization")
    if not wrapped:
        return schema
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return {
        "type": "object",
        "properties": {"result": schema},
        "required": ["result"],
        "additionalProperties": False,
        **definitions,
    }


def _parse(model: type[pydantic.BaseModel], arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        parsed = model.model_validate_json(canonical(arguments), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = "/".join(map(str, first["loc"]))
        raise CallFailed(ErrorCategory.TOOL_FAILED, f"the argument {place}: {first['msg']}") from None
    return {name.removeprefix(_FIELD): getattr(parsed, name) for name in model.model_fields}


def _dump(adapter: pydantic.TypeAdapter[Any], value: Any, *, ambiguous: bool) -> Any:
    try:
        valid = adapter.validate_python(value, strict=True)
        reason = _unspeakable(adapter.dump_python(valid))
        if not reason:
            return adapter.dump_python(valid, mode="json")
    except pydantic.ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"]
    except PydanticSerializationError:
        reason = "it cannot be JSON"
    raise CallFailed(
        ErrorCategory.INVALID_OUTPUT,
        f"the function's result is not what it is annotated with: {reason}",
        ambiguous=ambiguous,
    )


def _unspeakable(value: Any) -> str:
    """Say where a value holds a number that JSON does not carry to every reader; empty when it holds none."""
    left = [("", value)]
    while left:
        place, here = left.pop()
        match here:
            case bool():
                pass
            case float() if not math.isfinite(here):
                return f"{place or '/'} is {here}, which JSON has no word for"
            case int() if abs(here) > _EXACT:
                return f"{place or '/'} is beyond 2^53, which many readers round: give it as a text"
            case dict():
                left.extend((f"{place}/{key}", inner) for key, inner in here.items())
            case list() | tuple() | set() | frozenset():
                left.extend((f"{place}/{index}", inner) for index, inner in enumerate(here))
    return ""


def _fingerprint(function: Callable[..., Any]) -> str:
    """Name the implementation by its source, or by its bytecode where there is no source."""
    try:
        text = inspect.getsource(function).encode()
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        text = code.co_code + repr(code.co_names).encode() if code is not None else repr(function).encode()
    return hashlib.sha256(text).hexdigest()
