"""How conversations with models are written down: plain JSON, each message once, chained by digests."""

from typing import Any

import msgspec

from bailiwick.base import Json, canonical, digest_of
from bailiwick.ports import Message, ModelReply, Usage


class Chain:
    """A conversation so far: what was sent, and the digest that stands for it in the next request.

    A request is stored as H(previous request, new messages), never again in full.
    """

    def __init__(self) -> None:
        self._sent: tuple[Message, ...] = ()
        self._digest = ""

    def extend(self, messages: tuple[Message, ...]) -> tuple[str, list[Json]]:
        """Take a whole request; answer the digest of what went before and the messages that are new."""
        known = len(self._sent)
        if not known or messages[:known] != self._sent:
            known, self._digest = 0, ""
        previous = self._digest
        new = [msgspec.to_builtins(message) for message in messages[known:]]
        self._sent = messages
        self._digest = digest_of(canonical([previous, new]))
        return previous, new


def reply_value(reply: ModelReply) -> dict[str, Any]:
    """Write a model's answer as it is recorded."""
    usage = msgspec.to_builtins(reply.usage)
    if reply.usage.claimed is None:
        del usage["claimed"]
    return {
        "message": msgspec.to_builtins(reply.message),
        "finish": reply.finish,
        "served_model": reply.served_model,
        "usage": usage,
    }


def reply_of(value: dict[str, Any]) -> ModelReply:
    """Read back a recorded answer."""
    return ModelReply(
        message=msgspec.convert(value["message"], Message),
        usage=msgspec.convert(value["usage"], Usage),
        served_model=value["served_model"],
        finish=value["finish"],
    )
