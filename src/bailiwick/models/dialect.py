"""Our messages and tools in the shapes of the model library, and its answer in ours."""

import hashlib
import re
from collections.abc import Iterator, Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as LibraryRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from bailiwick.models.config import StructuredOutput
from bailiwick.models.toolcalls import ToolCalls
from bailiwick.ports import Message, ModelRequest, ToolUse

_MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_HASHED = 8


class ToolNames:
    """The names of tools on the wire and back: providers allow letters, digits, _ and - only, at most 64."""

    def __init__(self, names: Sequence[str]) -> None:
        self._wire: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        for name in names:
            self.wire(name)

    def wire(self, name: str) -> str:
        """Give the wire name: dots become `__`; one that is too long or taken gets a hash at its end."""
        if name not in self._wire:
            wire = _NOT_IN_NAMES.sub("_", name.replace(".", "__"))
            if len(wire) > _MAX_NAME or wire in self._ours:
                digest = hashlib.sha256(name.encode()).hexdigest()[:_HASHED]
                wire = f"{wire[: _MAX_NAME - _HASHED - 1]}_{digest}"
            self._wire[name] = wire
            self._ours[wire] = name
        return self._wire[name]

    def ours(self, wire: str) -> str:
        """Give the name that a wire name stands for; one that a model made up stays as it is."""
        return self._ours.get(wire, wire)


def history(request: ModelRequest, names: ToolNames) -> list[ModelMessage]:
    """Translate the messages of a request, in order; neighbours of the asking side become one library request."""
    called = {use.id: use.name for message in request.messages for use in message.tool_uses}
    translated: list[ModelMessage] = []
    asked: list[ModelRequestPart] = []
    for message in request.messages:
        if message.role == "assistant":
            if asked:
                translated.append(LibraryRequest(parts=asked))
                asked = []
            translated.append(ModelResponse(parts=list(_answer_parts(message, names))))
        else:
            asked.append(_asking_part(message, called, names))
    if asked:
        translated.append(LibraryRequest(parts=asked))
    return translated


def _asking_part(message: Message, called: dict[str, str], names: ToolNames) -> ModelRequestPart:
    match message.role:
        case "system":
            return SystemPromptPart(content=message.text)
        case "tool":
            name = names.wire(called.get(message.tool_use_id, "unknown"))
            return ToolReturnPart(tool_name=name, content=message.text, tool_call_id=message.tool_use_id)
        case _:
            return UserPromptPart(content=message.text)


def _answer_parts(message: Message, names: ToolNames) -> Iterator[ModelResponsePart]:
    if message.text:
        yield TextPart(content=message.text)
    for use in message.tool_uses:
        yield ToolCallPart(tool_name=names.wire(use.name), args=use.arguments, tool_call_id=use.id)


def parameters(request: ModelRequest, names: ToolNames, mode: StructuredOutput) -> ModelRequestParameters:
    """Translate the tools and the wanted schema of a request."""
    tools = [
        ToolDefinition(
            name=names.wire(tool.name),
            description=tool.description,
            parameters_json_schema=tool.schema,
            strict=None if closed(tool.schema) else False,
        )
        for tool in request.tools
    ]
    if request.output_schema is None:
        return ModelRequestParameters(function_tools=tools)
    strict = None if closed(request.output_schema) else False
    wanted = OutputObjectDefinition(json_schema=request.output_schema, name="answer", strict=strict)
    return ModelRequestParameters(function_tools=tools, output_mode=mode.value, output_object=wanted)


def closed(schema: object) -> bool:
    """Whether each object that a schema knows is closed with all its members required.

    A strict mode knows no other, and would close an open one without a word: then the only answer that fits is not
    what the contract asks for. So whatever is not closed is sent as it is, without strict mode.
    """
    if isinstance(schema, list):
        return all(closed(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    named = schema.get("type")
    if "properties" in schema or named == "object" or (isinstance(named, list) and "object" in named):
        members = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(members) != set(schema.get("required", ())):
            return False
    return all(closed(part) for part in schema.values())


def answer(response: ModelResponse, calls: ToolCalls, names: ToolNames) -> Message:
    """Translate an answer; thinking is not kept, arguments stay the raw text that the model wrote."""
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    uses = tuple(
        ToolUse(id=clean(call.id), name=clean(names.ours(call.name)), arguments=clean(call.arguments or "{}"))
        for call in calls.calls
    )
    return Message(role="assistant", text=clean(text), tool_uses=uses)


def clean(text: str) -> str:
    """Make text storable: halves of surrogate pairs are joined or replaced, NUL is replaced."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
