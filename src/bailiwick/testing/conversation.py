"""A chat request as scripts see it: roles, texts, tool results and offers, read from the OpenAI dialect."""

from typing import Any

import msgspec

from bailiwick.base import Category, Digest, Json, Refusal, canonical, digest_of


class InvalidRequest(Refusal, code="invalid_request", category=Category.INVALID):
    """A body is not a chat request."""

    reason: str
    says = "not a chat request: {reason}"
    remedy = "send {{model, messages: [{{role, content}}, ...]}} in the dialect of OpenAI's chat completions"


class Turn(msgspec.Struct, frozen=True):
    """One message. `tool` names the tool whose result a message of role tool is."""

    role: str
    text: str
    tool: str = ""


class Conversation(msgspec.Struct, frozen=True):
    """A request. `tools` maps offered names to their parameter schemas; `schema` is the wanted answer's, or None."""

    model: str
    turns: tuple[Turn, ...]
    tools: dict[str, dict[str, Any]]
    schema: dict[str, Any] | None
    stream: bool
    wants_usage: bool
    max_tokens: int | None
    digest: Digest
    size: int

    def texts(self, role: str) -> list[str]:
        """List the texts of one role, oldest first."""
        return [turn.text for turn in self.turns if turn.role == role]

    def last(self, role: str) -> str:
        """Give the newest text of one role, empty when there is none."""
        texts = self.texts(role)
        return texts[-1] if texts else ""

    @property
    def whole(self) -> str:
        """All texts in order, one per line."""
        return "\n".join(turn.text for turn in self.turns)

    @property
    def results(self) -> list[Turn]:
        """The tool results since the newest message of the user."""
        users = [index for index, turn in enumerate(self.turns) if turn.role == "user"]
        since = users[-1] if users else -1
        return [turn for turn in self.turns[since + 1 :] if turn.role == "tool"]

    def offered(self, name: str) -> str | None:
        """Find a tool under the name that the request gives it; None when it is not offered.

        Providers allow no dots in names, so `files.write` is also found as `files__write`.
        """
        return next((each for each in (name, name.replace(".", "__")) if each in self.tools), None)


def read_request(body: Json) -> Conversation:
    """Read a body of `/v1/chat/completions`.

    Raises:
        InvalidRequest: Not an object, no model, or no messages.
    """
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise InvalidRequest("no model is named")
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages) or not messages:
        raise InvalidRequest("there are no messages")
    size = len(canonical(messages)) + len(canonical(body.get("tools")))
    return Conversation(
        model=body["model"],
        turns=_turns(messages),
        tools=_tools(body.get("tools")),
        schema=_schema(body.get("response_format")),
        stream=body.get("stream") is True,
        wants_usage=_asks_for_usage(body),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        digest=digest_of(canonical(body)),
        size=size,
    )


def _turns(messages: list[dict[str, Any]]) -> tuple[Turn, ...]:
    called: dict[str, str] = {}
    turns = []
    for message in messages:
        for call in message.get("tool_calls", ()):
            called[str(call.get("id"))] = str(call.get("function", {}).get("name", ""))
        role = str(message.get("role", ""))
        tool = called.get(str(message.get("tool_call_id")), "") if role == "tool" else ""
        turns.append(Turn("system" if role == "developer" else role, _text(message.get("content")), tool))
    return tuple(turns)


def _text(content: Json) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _tools(tools: Json) -> dict[str, dict[str, Any]]:
    functions = [tool.get("function", {}) for tool in tools] if isinstance(tools, list) else []
    return {str(each.get("name")): each.get("parameters", {}) for each in functions}


def _schema(response_format: Json) -> dict[str, Any] | None:
    if not isinstance(response_format, dict) or response_format.get("type") == "text":
        return None
    schema = response_format.get("json_schema", {}).get("schema", {})
    return schema if isinstance(schema, dict) else {}


def _asks_for_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    return body.get("stream") is not True or (
        isinstance(options, dict) and options.get("include_usage") is True
    )
