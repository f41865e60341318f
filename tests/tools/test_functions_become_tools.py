"""A function becomes a tool by its annotations alone; what cannot be promised is refused at registration."""

import asyncio
import threading
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import pydantic
import pytest
from tools_kit import KEY, Hand

from bailiwick.contract import EffectClass, ErrorCategory, InvalidContract, contract_digest
from bailiwick.ports import CallFailed, Stop
from bailiwick.tools import Credentials, InvalidFunction, Redactor, Secret, function_tool

Make = Callable[..., Hand]


class Order(pydantic.BaseModel):
    item: str
    count: Annotated[int, pydantic.Field(ge=1)] = 1


def add(left: int, right: int = 2) -> int:
    """Add two numbers.

    More text.
    """
    return left + right


async def describe(order: Order, json: Literal["a", "b"], on: date) -> dict[str, str]:
    return {"text": f"{order.count} {order.item} {json} {on.isoformat()}"}


async def test_a_plain_function_is_called_with_checked_arguments(host_of: Make) -> None:
    hand = host_of(function_tool(add, name="math.add"))
    assert await hand("math.add", left=1) == {"result": 3}
    assert hand.contract("math.add").summary == "Add two numbers."
    assert hand.contract("math.add").input["required"] == ["left"]


async def test_models_dates_and_names_of_our_own_methods_are_arguments(host_of: Make) -> None:
    hand = host_of(function_tool(describe, name="shop.describe"))
    found = await hand("shop.describe", order={"item": "tea", "count": 2}, json="a", on="2026-11-21")
    assert found == {"text": "2 tea a 2026-11-21"}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"left": "1"},
        {"left": True},
        {"left": 1.5},
        {"left": 1, "surplus": 1},
        {"left": None},
        {"field_left": 1},
    ],
    ids=str,
)
async def test_other_arguments_never_reach_the_function(host_of: Make, arguments: dict[str, Any]) -> None:
    def never(left: int) -> int:
        raise AssertionError

    with pytest.raises(CallFailed, match="argument") as failed:
        await host_of(function_tool(never, name="t", effect=EffectClass.EXTERNAL_ACTION))("t", **arguments)
    assert not failed.value.ambiguous


async def test_what_the_schema_cannot_say_is_still_checked_before_the_call(host_of: Make) -> None:
    def never(on: date) -> int:
        raise AssertionError

    with pytest.raises(CallFailed, match="the argument on") as failed:
        await host_of(function_tool(never, name="t", effect=EffectClass.EXTERNAL_ACTION))("t", on="tomorrow")
    assert not failed.value.ambiguous


async def test_a_plain_function_runs_beside_the_loop_and_a_coroutine_on_it(host_of: Make) -> None:
    def plain() -> bool:
        assert threading.current_thread().daemon, "it would keep a process up that ends"
        return threading.current_thread() is threading.main_thread()

    async def native() -> bool:
        await asyncio.to_thread(int)
        return threading.current_thread() is threading.main_thread()

    hand = host_of(function_tool(plain, name="plain"), function_tool(native, name="native"))
    assert await hand("plain") == {"result": False}
    assert await hand("native") == {"result": True}


async def test_an_idempotent_write_is_handed_the_key_and_no_caller_can_set_it(host_of: Make) -> None:
    def book(room: str, key: str) -> str:
        return key

    hand = host_of(function_tool(book, name="book", effect=EffectClass.IDEMPOTENT_WRITE))
    assert list(hand.contract("book").input["properties"]) == ["room"]
    assert await hand("book", room="a") == {"result": KEY}
    call = hand.call("book")
    call.arguments.update({"room": "a", "key": "mine"})
    with pytest.raises(CallFailed, match="arguments do not fit"):
        await hand.host.execute(call, hand.frames.append, Stop())


async def test_key_is_an_ordinary_argument_of_a_read(host_of: Make) -> None:
    def get(key: str) -> str:
        return key

    hand = host_of(function_tool(get, name="get"))
    assert hand.contract("get").input["required"] == ["key"]


@pytest.mark.parametrize(
    "error",
    [
        SystemExit,
        StopIteration,
        KeyError,
        KeyboardInterrupt,
        GeneratorExit,
        asyncio.CancelledError,
        MemoryError,
    ],
)
async def test_no_exception_of_a_function_takes_the_host_with_it(
    host_of: Make, error: type[BaseException]
) -> None:
    def fail() -> int:
        raise error("x")

    async def fail_too() -> int:
        raise error("x")

    for function in (fail, fail_too):
        with pytest.raises(CallFailed) as failed:
            await host_of(function_tool(function, name="t"))("t", seconds=5)
        assert failed.value.category is ErrorCategory.TOOL_FAILED


@pytest.mark.parametrize("effect", [EffectClass.READ_ONLY, EffectClass.EXTERNAL_ACTION])
async def test_a_result_of_another_type_is_invalid_output(host_of: Make, effect: EffectClass) -> None:
    def wrong() -> int:
        return "canary"  # type: ignore[return-value]

    with pytest.raises(CallFailed) as failed:
        await host_of(function_tool(wrong, name="t", effect=effect))("t")
    assert failed.value.category is ErrorCategory.INVALID_OUTPUT
    assert failed.value.ambiguous is (effect is EffectClass.EXTERNAL_ACTION)
    assert "canary" not in failed.value.message


def no_result(left: int):  # type: ignore[no-untyped-def]
    return left


def no_annotation(left) -> int:  # type: ignore[no-untyped-def]
    return left


def variadic(*left: int) -> int:
    return len(left)


def positional(left: int, /) -> int:
    return left


def not_json(left: threading.Lock) -> int:  # type: ignore[valid-type]
    return 1


def unresolved(left: "Nowhere") -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def callback(left: Callable[[], int]) -> int:
    return 1


@pytest.mark.parametrize(
    "function", [no_result, no_annotation, variadic, positional, not_json, unresolved, callback]
)
def test_a_function_that_says_too_little_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidFunction) as refusal:
        function_tool(function, name="t")
    assert refusal.value.remedy


def test_a_write_that_cannot_take_the_key_is_no_idempotent_write() -> None:
    def number(key: int) -> int:
        return key

    for function in (add, number):
        with pytest.raises(InvalidFunction, match="key: str"):
            function_tool(function, name="t", effect=EffectClass.IDEMPOTENT_WRITE)


def test_fields_of_the_contract_are_taken_and_checked() -> None:
    tool = function_tool(add, name="t", timeout_seconds=5, price_micro_usd=7, tags=("a",))
    assert (tool.contract.timeout_seconds, tool.contract.price_micro_usd, tool.contract.tags) == (
        5,
        7,
        ("a",),
    )
    with pytest.raises(InvalidContract):
        function_tool(add, name="t", timeout=5)
    with pytest.raises(InvalidContract):
        function_tool(add, name="t", version="1")


def test_the_code_is_fingerprinted_and_no_part_of_the_pin() -> None:
    def one() -> int:
        return 1

    def two() -> int:
        return 2

    first, second = (function_tool(function, name="t").contract for function in (one, two))
    assert first.code != second.code
    assert len(first.code) == 64
    assert contract_digest(first) == contract_digest(second)


async def test_a_credential_is_filled_in_at_the_call_and_is_no_argument(host_of: Make) -> None:
    environment: dict[str, str] = {}

    def use(token: Secret, left: int) -> int:
        return left + len(token.reveal())

    redactor = Redactor()
    tool = function_tool(
        use, name="t", credentials={"token": "env:API_TOKEN"}, vault=Credentials(environment, redactor)
    )
    hand = host_of(tool, redactor=redactor)
    assert list(tool.contract.input["properties"]) == ["left"]
    assert tool.contract.credentials == ("env:API_TOKEN",)
    with pytest.raises(CallFailed, match="credential_refused") as failed:
        await hand("t", left=1)
    assert failed.value.category is ErrorCategory.DENIED
    environment["API_TOKEN"] = "12345678"
    assert await hand("t", left=1) == {"result": 9}


def test_a_credential_parameter_is_annotated_as_a_secret() -> None:
    def use(token: str) -> int:
        return 1

    with pytest.raises(InvalidFunction, match="token: Secret"):
        function_tool(use, name="t", credentials={"token": "env:A"})
