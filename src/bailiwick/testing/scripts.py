"""The built-in scripts: the model's name picks one, and each shows one way in which a model can behave."""

from collections.abc import Callable, Mapping

from bailiwick.base import canonical
from bailiwick.testing.conversation import Conversation
from bailiwick.testing.reply import CREDENTIAL, Call, Fault, Reply
from bailiwick.testing.sample import sample

Script = Callable[[Conversation], Reply]
_SLOW_TOKENS = 1200  # a minute at 20 tokens a second
_LEAK = "AKIASCRIPTED0LEAK0KEY"


def built_in_scripts() -> Mapping[str, Script]:
    """Make the scripts of one server; `rate-limited` remembers, by content, whom it has turned away."""
    return {
        "plain": _plain,
        "slow": _slow,
        "tools": _tools,
        "structured": _structured,
        "bad-json": _bad_json,
        "bad-stream": _faulty(Fault.GARBAGE),
        "cut": _faulty(Fault.CUT),
        "stalled": _faulty(Fault.STALL),
        "rate-limited": _RateLimited(),
        "unavailable": _error(503, "The scripted model has no capacity."),
        "broken": _error(500, "The scripted model broke down."),
        "denied": _error(401, f"Incorrect API key provided: {CREDENTIAL}."),
        "no-usage": _no_usage,
        "leaky": _leaky,
        "looping": _looping,
    }


def _plain(conversation: Conversation) -> Reply:
    asked = conversation.last("user")[:200]
    return Reply(text=f"This is a scripted answer, no model wrote it. You said: {asked}")


def _slow(_: Conversation) -> Reply:
    return Reply(text="word" * _SLOW_TOKENS, tokens_per_second=20)


def _tools(conversation: Conversation) -> Reply:
    if conversation.results or not conversation.tools:
        heard = (
            conversation.results[-1].text[:200] if conversation.results else "nothing, no tool was offered"
        )
        return _structured(conversation, f"The tool said: {heard}")
    return Reply(text="I look that up.", calls=(_first_call(conversation),))


def _structured(conversation: Conversation, otherwise: str = '{"answer": "scripted"}') -> Reply:
    if conversation.schema is None:
        return Reply(text=otherwise)
    return Reply(text=canonical(sample(conversation.schema)).decode())


def _bad_json(conversation: Conversation) -> Reply:
    whole = _structured(conversation).text
    return Reply(text=f'{whole[:-1]}, "and then": ')


def _faulty(fault: Fault) -> Script:
    def script(conversation: Conversation) -> Reply:
        return Reply(text=_plain(conversation).text, fault=fault, fault_after=5)

    return script


def _error(status: int, message: str) -> Script:
    def script(_: Conversation) -> Reply:
        return Reply(status=status, text=message)

    return script


def _no_usage(conversation: Conversation) -> Reply:
    return Reply(text=_plain(conversation).text, usage=False)


def _leaky(_: Conversation) -> Reply:
    text = f"The key is {_LEAK}, and here is more. " + "And more. " * 200
    return Reply(text=text, tokens_per_second=200)


def _looping(conversation: Conversation) -> Reply:
    if not conversation.tools:
        return Reply(text="I have to think about this once more.")
    return Reply(calls=(_first_call(conversation),))


def _first_call(conversation: Conversation) -> Call:
    name, schema = next(iter(conversation.tools.items()))
    return Call(name, canonical(sample(schema)).decode())


class _RateLimited:
    """Turns each request away once, with Retry-After, and answers it when it comes again."""

    def __init__(self) -> None:
        self._turned_away: set[str] = set()

    def __call__(self, conversation: Conversation) -> Reply:
        if conversation.digest in self._turned_away:
            return _plain(conversation)
        self._turned_away.add(conversation.digest)
        return Reply(
            status=429, text="Too many requests, come back in a second.", headers=(("retry-after", "1"),)
        )
