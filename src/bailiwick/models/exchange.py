"""One call of a model through the library's direct layer: its stream, its frames, its reply or its failure."""

import asyncio
import json
import time
from importlib import import_module
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI, OpenAIError
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import AgentRunError, ModelHTTPError, UserError
from pydantic_ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from bailiwick.contract import ErrorCategory
from bailiwick.models.chunks import Misspoken, Stated
from bailiwick.models.config import ProviderConfig, StructuredOutput
from bailiwick.models.dialect import ToolNames, answer, clean, history, parameters
from bailiwick.models.failures import failure_of
from bailiwick.models.inflow import MAX_PLAIN_BYTES, READING, bound
from bailiwick.models.lines import Reading
from bailiwick.models.monitor import Interrupted, Interruption, ResponseMonitor
from bailiwick.ports import CallFailed, FrameSink, ModelReply, ModelRequest, Usage

_MAX_NAME = 200
_LIBRARY_ERRORS = (
    AgentRunError,
    UserError,
    OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    json.JSONDecodeError,
    Misspoken,
)


class Connection:
    """A provider's HTTP client, for one event loop; retries are never its own."""

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.key = ""
        host = urlsplit(config.base_url).hostname or ""
        # A proxy from the environment is for the way out, never for a server on this machine.
        self._http = httpx2.AsyncClient(
            trust_env=not _is_loopback(host),
            timeout=config.connect_seconds,
            headers={"accept-encoding": "identity"},
            event_hooks={"response": [bound]},
        )
        self._client = AsyncOpenAI(
            base_url=config.base_url, api_key=self._current_key, max_retries=0, http_client=self._http
        )
        self._genuine = host == "api.openai.com"
        self._models: dict[str, OpenAIChatModel] = {}

    def model(self, name: str) -> OpenAIChatModel:
        """Give the library's model of a name, made once."""
        if name not in self._models:
            self._models[name] = self._made(name)
        return self._models[name]

    def _made(self, name: str) -> OpenAIChatModel:
        native = self.config.structured_output is StructuredOutput.NATIVE
        profile = OpenAIModelProfile(
            supports_json_schema_output=native,
            # An answer that just ends is not whole: without its finish reason it counts as cut.
            openai_chat_streaming_requires_finish_reason=True,
        )
        provider: Provider[AsyncOpenAI]
        if self._genuine:
            provider = OpenAIProvider(openai_client=self._client)
        else:
            profile["openai_chat_supports_max_completion_tokens"] = False
            provider = OpenAICompatibleProvider(self.config.name, openai_client=self._client)
        return OpenAIChatModel(name, provider=provider, profile=profile)

    async def close(self) -> None:
        """Close the sockets."""
        await self._http.aclose()

    async def _current_key(self) -> str:
        return self.key or "none"


class Exchange:
    """One request on its way.

    Args:
        connection: The provider; its key is already the current one.
        model: The provider's own name of the model.
        request: What is asked.
        monitor: Reads along.
        sink: Takes the frames.
        patience: The most seconds until the first byte of the answer, and then until each further one.
    """

    def __init__(
        self,
        connection: Connection,
        model: str,
        request: ModelRequest,
        monitor: ResponseMonitor,
        sink: FrameSink,
        patience: tuple[float, float],
    ) -> None:
        self._connection = connection
        self._model = model
        self._request = request
        self._monitor = monitor
        self._waits, self._silence_seconds = patience
        self._sink = sink
        self._names = ToolNames([tool.name for tool in request.tools])
        self._began = time.perf_counter()
        self._first_token_ms = 0
        self._text: list[str] = []
        self._silence: asyncio.Timeout | None = None
        self._reading = Reading(self._heard, MAX_PLAIN_BYTES)

    async def run(self) -> ModelReply:
        """Stream the answer to its end.

        Raises:
            CallFailed: It did not come to its end, or must not be used.
        """
        READING.set(self._reading)
        try:
            return self._reply(*await self._stream())
        except Interrupted as cut:
            raise self.failed(cut.interruption.category, str(cut), cut.interruption) from cut
        except Stated as stated:
            told = {"message": str(stated), "code": stated.code}
            error = ModelHTTPError(stated.status, self._model, told, provider_error_code=stated.code)
            raise self._failure_of(error) from stated
        except _LIBRARY_ERRORS as error:
            raise self._failure_of(error) from error

    def _failure_of(self, error: Exception) -> CallFailed:
        used = self._monitor.usage()
        failure = failure_of(error, self._connection.key, used, began=self._monitor.began)
        failure.partial = self._partial
        failure.first_token_ms = self._first_token_ms
        return failure

    def failed(
        self, category: ErrorCategory, message: str, interruption: Interruption | None = None
    ) -> CallFailed:
        """Make the failure of an answer that we cut off ourselves; its usage is estimated.

        Forbidden content is no partial answer: what had come is dropped, for it holds the beginning.
        """
        return CallFailed(
            category,
            message,
            usage=self._monitor.usage(),
            partial=None if interruption is Interruption.FORBIDDEN else self._partial,
            interruptions=() if interruption is None else (interruption.value,),
            first_token_ms=self._first_token_ms,
        )

    @property
    def _partial(self) -> str | None:
        return clean("".join(self._text)) or None

    async def _stream(self) -> tuple[ModelResponse, str]:
        settings = OpenAIChatModelSettings(
            max_tokens=self._request.max_output_tokens,
            timeout=httpx2.Timeout(
                self._request.timeout_seconds, connect=self._connection.config.connect_seconds
            ),
        )
        if self._request.temperature is not None:
            settings["temperature"] = self._request.temperature
        if self._request.traceparent:
            settings["extra_headers"] = {"traceparent": self._request.traceparent}
        mode = self._connection.config.structured_output
        try:
            async with (
                asyncio.timeout(self._waits) as self._silence,
                model_request_stream(
                    self._connection.model(self._model),
                    history(self._request, self._names),
                    model_settings=settings,
                    model_request_parameters=parameters(self._request, self._names, mode),
                ) as stream,
            ):
                async for event in stream:
                    self._take(event)
                self._monitor.finish()
                return stream.get(), stream.model_name
        except TimeoutError as error:
            raise Interrupted(Interruption.STALL, f"nothing came for {self._waits:g} s") from error

    def _heard(self) -> None:
        if self._silence is not None:
            self._waits = self._silence_seconds
            self._silence.reschedule(asyncio.get_running_loop().time() + self._waits)

    def _take(self, event: ModelResponseStreamEvent) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                self._take_text(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                self._take_text(text)
            case PartStartEvent(index=index, part=ToolCallPart() as part):
                self._take_tool(index, part.tool_name, part.args, part.tool_call_id)
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta() as delta):
                self._take_tool(index, delta.tool_name_delta, delta.args_delta, None)
            case PartStartEvent(part=ThinkingPart(content=text)):
                self._watch("thinking", text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
                self._watch("thinking", text or "")
            case _:
                pass  # ends of parts repeat what the deltas said

    def _take_text(self, text: str) -> None:
        if text:
            self._watch("text", text)
            self._text.append(text)
            self._sink({"type": "text", "text": clean(text)})

    def _take_tool(self, index: int, name: str | None, args: object, call: str | None) -> None:
        piece = args if isinstance(args, str) else ""
        self._watch(f"tool {index}", (name or "") + piece)
        if call is not None:
            self._monitor.weigh(call)
        frame = {"type": "tool", "index": index, "arguments": clean(piece)}
        if call is not None and name is not None:
            frame |= {"id": call, "name": self._names.ours(name)}
        self._sink(frame)

    def _watch(self, channel: str, text: str) -> None:
        if not self._first_token_ms:
            self._first_token_ms = max(self._elapsed_ms(), 1)
        self._monitor.saw(channel, text)

    def _reply(self, response: ModelResponse, served: str) -> ModelReply:
        usage = self._reported() or self._monitor.usage()
        if response.finish_reason in ("content_filter", "error"):
            raise CallFailed(
                ErrorCategory.REJECTED,
                f"the provider ended the answer: {response.finish_reason}",
                usage=usage,
                partial=self._partial,
                first_token_ms=self._first_token_ms,
            )
        if response.finish_reason == "length":
            raise CallFailed(
                ErrorCategory.INVALID_OUTPUT,
                f"the answer was cut at {usage.output_tokens} output tokens, and a cut answer is not used: "
                "raise the agent's max_output_tokens, or ask for less at a time",
                usage=usage,
                partial=self._partial,
                first_token_ms=self._first_token_ms,
            )
        message = answer(response, self._reading.normaliser.tools, self._names)
        return ModelReply(
            message=message,
            usage=usage,
            served_model=f"{self._connection.config.name}:{clean(served)[:_MAX_NAME]}",
            finish="tools" if message.tool_uses else "stop",
            first_token_ms=self._first_token_ms,
            total_ms=self._elapsed_ms(),
        )

    def _reported(self) -> Usage | None:
        """Take the provider's figures, if it gave any, held to what can be true of what was asked and what came."""
        told = self._reading.normaliser.usage
        if told is None or not told.input_tokens or (self._monitor.began and not told.output_tokens):
            return None
        return told.within(*self._monitor.most_tokens)

    def _elapsed_ms(self) -> int:
        return round((time.perf_counter() - self._began) * 1000)


def preload() -> None:
    """Load what the library itself loads only in its first call (half a second), by making a model nobody calls."""
    import_module("genai_prices.data")
    import_module("anyio._backends._asyncio")
    Connection(ProviderConfig("preload", "http://127.0.0.1/v1", ())).model("none")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
