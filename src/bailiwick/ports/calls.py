"""What the worker and the hosts of tools and models say to each other about one dispatched call."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from bailiwick.base import Digest, Json, canonical
from bailiwick.contract import Contract, ErrorCategory

MOST_TOKENS = 2**53 - 1
"""The largest count of tokens that is written down: the largest whole number of JSON that every reader reads alike."""


class CallFailed(Exception):
    """A dispatched call ended without a result.

    Args:
        category: Routes what happens next (retry, fallback, person).
        unsent: True only when it is *proven* that the other side did no work (connection refused,
            429, 503 before the first byte); such a call may be repeated inside its effect.
        unstored: True when the work could not be kept (a full disk) and nothing outside was done: it may be done
            again, however often.
        gone: True when what should do the work is not there at all: nothing was done, and no repeat helps before
            somebody brings it back.
        ambiguous: True when the other side may have done the work and nobody knows.
        retry_after: Seconds that the other side asked to wait, or None.
        usage: For model calls, what is known of the tokens spent.
        partial: What had arrived when the call ended (text of a cut stream), or None.
        interruptions: For model calls, why the response monitor cut the answer off.
        first_token_ms: For model calls, milliseconds to the first token; 0 when none came.
    """

    def __init__(
        self,
        category: ErrorCategory,
        message: str,
        *,
        unsent: bool = False,
        unstored: bool = False,
        gone: bool = False,
        ambiguous: bool = False,
        retry_after: float | None = None,
        usage: "Usage | None" = None,
        partial: Json = None,
        interruptions: tuple[str, ...] = (),
        first_token_ms: int = 0,
    ) -> None:
        super().__init__(message)
        self.category = category
        self.message = message
        self.unsent = unsent
        self.unstored = unstored
        self.gone = gone
        self.ambiguous = ambiguous
        self.retry_after = retry_after
        self.usage = usage
        self.partial = partial
        self.interruptions = interruptions
        self.first_token_ms = first_token_ms


class Stop:
    """A request to end a call, with its reason; hosts await it beside their work.

    A host that sees it ends the call at once, closes its sockets and raises `CallFailed` with category
    `canceled` (and, for models, with the usage so far).
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason = ""

    def request(self, reason: str) -> None:
        """Ask the call to end; the first reason stands."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the call should end."""
        return self._event.is_set()

    async def wait(self) -> str:
        """Wait until the call should end; answer why."""
        await self._event.wait()
        return self.reason


FrameSink = Callable[[dict[str, Any]], None]
"""Takes one frame (plain JSON, for example {"type": "text", "text": "…"}); never blocks, may drop."""


class ToolCall(msgspec.Struct, frozen=True):
    """One call of a tool, parsed back from the bytes that the gate hashed.

    `tree` names the run's workspace before the call, `key` is the effect's stable key; `app` is the run's.
    """

    contract: Contract
    arguments: dict[str, Any]
    key: str
    tenant: str
    run: str
    step: str
    tree: Digest | None
    timeout_seconds: float
    traceparent: str = ""
    app: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool did: its output (held to the contract's schema by the caller) and the tree after it."""

    output: dict[str, Any]
    tree: Digest | None = None


class ToolHost(Protocol):
    """Executes calls that the gate dispatched; knows the implementations, holds the credentials."""

    def contracts(self) -> tuple[Contract, ...]:
        """List what this host can execute."""
        ...

    async def execute(self, call: ToolCall, sink: FrameSink, stop: Stop) -> ToolResult:
        """Execute one call.

        Raises:
            CallFailed: The call did not end in a result.
        """
        ...

    def facts(self, contract: Contract, arguments: dict[str, Any]) -> "FactsNeed | None":
        """Name the artifacts that the contract's pure `facts` function wants to read; None without one."""
        ...

    def derive_facts(
        self, contract: Contract, arguments: dict[str, Any], artifacts: dict[Digest, bytes]
    ) -> dict[str, Any]:
        """Compute what policy may know of an action, purely, from its arguments and artifacts."""
        ...


class FactsNeed(msgspec.Struct, frozen=True):
    """Artifacts that a `facts` function reads."""

    artifacts: tuple[Digest, ...] = ()


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model sees it."""

    name: str
    description: str
    schema: dict[str, Any]


class ToolUse(msgspec.Struct, frozen=True):
    """A model's wish to call a tool; `arguments` is the raw text it wrote, not yet parsed."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation. role: system, user, assistant or tool (then `tool_use_id` is set)."""

    role: str
    text: str = ""
    tool_uses: tuple[ToolUse, ...] = ()
    tool_use_id: str = ""


class ModelRequest(msgspec.Struct, frozen=True):
    """A whole request to a model, history included. `output_schema` asks for one JSON object as the answer.

    `pinned`: the run holds on to this model, so that it is called though no app names it any more.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    output_schema: dict[str, Any] | None = None
    max_output_tokens: int = 4096
    temperature: float | None = None
    timeout_seconds: float = 120.0
    traceparent: str = ""
    spend_limit_micro_usd: int | None = None
    pinned: bool = False

    def texts(self) -> Iterator[str]:
        """Yield every text that a provider counts as input: messages, tool arguments, definitions, schema."""
        for message in self.messages:
            yield message.text
            for use in message.tool_uses:
                yield use.name + use.arguments
        for tool in self.tools:
            yield f"{tool.name}{tool.description}{canonical(tool.schema).decode()}"
        if self.output_schema is not None:
            yield canonical(self.output_schema).decode()


class Claim(msgspec.Struct, frozen=True):
    """What a provider says was used where that cannot be; a figure over `MOST_TOKENS` is written as that."""

    input_tokens: int
    output_tokens: int


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one model call.

    `source`: reported (by the provider), estimated (by us), or capped: the provider claims more than can have
    been used, so the most that can have been used stands here, and what was claimed in `claimed`.
    """

    input_tokens: int
    output_tokens: int
    source: str = "reported"
    cached_input_tokens: int = 0
    claimed: Claim | None = None

    def within(self, most_input: int, most_output: int) -> "Usage":
        """Hold a provider's figures to what can have been used: the bound of the request's input, and the output's."""
        if self.input_tokens <= most_input and self.output_tokens <= most_output:
            return self
        given, made = min(self.input_tokens, most_input), min(self.output_tokens, most_output)
        claim = Claim(min(self.input_tokens, MOST_TOKENS), min(self.output_tokens, MOST_TOKENS))
        return Usage(given, made, "capped", min(self.cached_input_tokens, given), claim)


class ModelReply(msgspec.Struct, frozen=True):
    """A model's whole answer. finish: stop or tools. Durations in milliseconds."""

    message: Message
    usage: Usage
    served_model: str
    finish: str
    first_token_ms: int = 0
    total_ms: int = 0
    tries: int = 1
    interruptions: tuple[str, ...] = ()


class ModelHost(Protocol):
    """Streams answers from model providers."""

    def models(self) -> tuple[str, ...]:
        """List the model names that are configured."""
        ...

    async def stream(self, request: ModelRequest, sink: FrameSink, stop: Stop) -> ModelReply:
        """Stream one answer; the sink gets {"type": "text", "text": …} and {"type": "tool", …} frames.

        Raises:
            CallFailed: The call did not end in an answer, with the usage as far as it is known.
        """
        ...
