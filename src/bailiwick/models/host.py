"""The model host: streams answers from providers that speak OpenAI's dialect, and stops when it is told to."""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from bailiwick.base import Refusal
from bailiwick.budget import Price, input_token_bound
from bailiwick.contract import ErrorCategory
from bailiwick.models.config import ProviderConfig, StructuredOutput
from bailiwick.models.monitor import ForbiddenContent, MonitorRules, ResponseMonitor
from bailiwick.ports import CallFailed, FrameSink, ModelReply, ModelRequest, Stop, Usage

if TYPE_CHECKING:
    from bailiwick.models.exchange import Connection, Exchange

_CLOSE_SECONDS = 1.0
_UNSENT = Usage(input_tokens=0, output_tokens=0)

KeyResolver = Callable[[str], str]
"""Turns a reference into the key, anew each time; raises `LookupError`, `OSError` or a `Refusal` when it cannot."""


class OpenAIHost:
    """Implements `ports.ModelHost`; one per event loop.

    Args:
        providers: Whom to ask; their names differ.
        resolve_key: Gives the key that a reference names. Keys stay in here.
        price_of: Gives a model's current price, for spend limits.
        rules: What the monitor of every answer goes by.
    """

    def __init__(
        self,
        providers: Sequence[ProviderConfig],
        resolve_key: KeyResolver,
        price_of: Callable[[str], Price],
        rules: MonitorRules | None = None,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._resolve_key = resolve_key
        self._price_of = price_of
        self._rules = MonitorRules(ForbiddenContent()) if rules is None else rules
        self._connections: dict[str, Connection] = {}

    def models(self) -> tuple[str, ...]:
        """List the model names that are configured."""
        return tuple(f"{each.name}:{model}" for each in self._providers.values() for model in each.models)

    async def stream(self, request: ModelRequest, sink: FrameSink, stop: Stop) -> ModelReply:
        """Stream one answer; frames are {"type": "text", "text"} and {"type": "tool", "index", "arguments"},
        the first of each tool call with "id" and "name" too.

        Raises:
            CallFailed: No whole answer came. Its usage is what the provider told, or an estimate that is never
                too low; zero only where the provider provably did no work.
        """
        if stop.requested:
            raise CallFailed(ErrorCategory.CANCELED, f"canceled: {stop.reason}", unsent=True, usage=_UNSENT)
        exchange = await self._exchange(request, sink)
        work = asyncio.create_task(exchange.run())
        halt = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                {work, halt}, timeout=request.timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if work.done():
                return work.result()
            if stop.requested:
                raise exchange.failed(ErrorCategory.CANCELED, f"canceled: {stop.reason}")
            raise exchange.failed(ErrorCategory.TIMEOUT, f"no whole answer in {request.timeout_seconds:g} s")
        finally:
            halt.cancel()
            work.cancel()
            ended, _ = await asyncio.wait({work, halt}, timeout=_CLOSE_SECONDS)
            if work in ended and not work.cancelled():
                work.exception()  # asked for, so that a failure in closing is not reported as forgotten

    async def warm(self) -> None:
        """Load the model library now (seconds), not in the first call."""
        await asyncio.to_thread(_load)

    async def close(self) -> None:
        """Close every connection."""
        while self._connections:
            await self._connections.popitem()[1].close()

    async def _exchange(self, request: ModelRequest, sink: FrameSink) -> "Exchange":
        name, _, model = request.model.partition(":")
        provider = self._providers.get(name)
        if provider is None or not (request.pinned or model in provider.models):
            message = f"the model {request.model!r} is not configured"
            raise CallFailed(ErrorCategory.REJECTED, message, gone=True, usage=_UNSENT)
        key = self._key(provider)
        connection_type, exchange_type = await asyncio.to_thread(_load)
        if name not in self._connections:
            self._connections[name] = connection_type(provider)
        connection = self._connections[name]
        connection.key = key
        silence = provider.silence_seconds or self._rules.stall_seconds
        first = provider.first_token_seconds or silence
        monitor = self._monitor(request, provider)
        return exchange_type(connection, model, request, monitor, sink, (first, silence))

    def _key(self, provider: ProviderConfig) -> str:
        if not provider.api_key_ref:
            return ""
        try:
            return self._resolve_key(provider.api_key_ref)
        except (LookupError, OSError, Refusal) as error:
            message = f"no key for {provider.name!r}: the reference {provider.api_key_ref!r} names none"
            raise CallFailed(ErrorCategory.DENIED, message, usage=_UNSENT) from error

    def _monitor(self, request: ModelRequest, provider: ProviderConfig) -> ResponseMonitor:
        native = provider.structured_output is StructuredOutput.NATIVE
        plain = request.output_schema is None or bool(request.tools)
        return ResponseMonitor(
            request,
            self._price_of(request.model),
            input_token_bound(request.texts()),
            self._rules,
            must_open_with="{" if native and not plain else "",
            structured=native or not request.tools,
            repetition_chars=provider.repetition_chars,
        )


@cache
def _load() -> "tuple[type[Connection], type[Exchange]]":
    """Import the model library when it is first needed: it takes seconds and 80 MB."""
    from bailiwick.models.exchange import Connection, Exchange, preload  # noqa: PLC0415 -- see the docstring

    preload()
    return Connection, Exchange
