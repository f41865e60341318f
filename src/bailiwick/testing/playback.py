"""Playing a recording: the first rule that fits a request, with texts of the request put into its reply."""

import msgspec
import re2  # type: ignore[import-untyped]

from bailiwick.base import Category, Json, Refusal, canonical
from bailiwick.testing.conversation import Conversation
from bailiwick.testing.recording import PLACE, Capture, Recording, ReplyTemplate, Texts, Verbatim, When
from bailiwick.testing.reply import Call, Reply

_SHOWN = 240


class NoRuleFits(Refusal, code="no_rule_fits", category=Category.INVALID):
    """No rule of the recording answers this request."""

    def __init__(self, model: str, seen: Json, reasons: dict[str, str]) -> None:
        super().__init__(
            f"no rule of the recording {model!r} fits; the request was {seen}; rules: {reasons}",
            remedy="add a rule to the recording, or correct the condition named here",
            seen=seen,
            rules=reasons,
        )


def play(recording: Recording, conversation: Conversation) -> tuple[str, Reply]:
    """Answer with the first rule that fits; give its name too.

    Raises:
        NoRuleFits: None does.
    """
    reasons: dict[str, str] = {}
    for rule in recording.rules:
        failed = _unmet(rule.when, conversation)
        captured = _captured(rule.capture, conversation)
        if failed is None and isinstance(captured, dict):
            return rule.name, _filled(rule.reply, captured)
        reasons[rule.name] = failed or f"nothing to capture for {captured}"
    raise NoRuleFits(recording.model, _seen(conversation), reasons)


def _all(texts: Texts) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def _unmet(when: When, conversation: Conversation) -> str | None:
    """Name the first condition that does not hold; None when all do."""
    newest = conversation.turns[-1]
    users = conversation.texts("user")
    within = (
        ("system_contains", when.system_contains, "\n".join(conversation.texts("system")), True),
        ("first_user_contains", when.first_user_contains, users[0] if users else "", True),
        ("last_user_contains", when.last_user_contains, users[-1] if users else "", True),
        ("last_contains", when.last_contains, newest.text, True),
        ("last_lacks", when.last_lacks, newest.text, False),
        ("contains", when.contains, conversation.whole, True),
        ("not_contains", when.not_contains, conversation.whole, False),
    )
    for name, wanted, text, presence in within:
        for each in () if wanted is None else _all(wanted):
            if (each in text) is not presence:
                return f"{name} {each[:80]!r}"
    equal = (
        ("last_role", when.last_role, newest.role),
        ("tool_results", when.tool_results, len(conversation.results)),
        ("wants_json", when.wants_json, conversation.schema is not None),
    )
    for name, expected, actual in equal:
        if expected is not None and expected != actual:
            return f"{name} {expected!r} (it is {actual!r})"
    if when.last_tool is not None and newest.tool not in (when.last_tool, when.last_tool.replace(".", "__")):
        return f"last_tool {when.last_tool!r} (it is {newest.tool!r})"
    for tool in () if when.offers is None else _all(when.offers):
        if conversation.offered(tool) is None:
            return f"offers {tool!r}"
    if when.matches is not None and not re2.search(when.matches, conversation.whole):
        return f"matches {when.matches!r}"
    return None


def _captured(captures: dict[str, Capture], conversation: Conversation) -> dict[str, str] | str:
    """Take the captured texts, or name the capture that found nothing."""
    users = conversation.texts("user")
    sources = {
        "all": conversation.whole,
        "first_user": users[0] if users else "",
        "last": conversation.turns[-1].text,
        "last_user": users[-1] if users else "",
        "system": "\n".join(conversation.texts("system")),
    }
    found: dict[str, str] = {}
    for name, capture in captures.items():
        match = re2.search(capture.pattern, sources[capture.source])
        text = None if match is None else match.group(1 if match.re.groups else 0)
        if text is not None:
            found[name] = text
        elif capture.default is not None:
            found[name] = capture.default
        else:
            return name
    return found


def _filled(reply: ReplyTemplate, captured: dict[str, str]) -> Reply:
    def fill(value: Json) -> Json:
        if isinstance(value, Verbatim):
            return str(value)
        if isinstance(value, str):
            return PLACE.sub(lambda place: captured[place[1]], value)
        if isinstance(value, list):
            return [fill(each) for each in value]
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        return value

    text = fill(reply.text) if reply.json is msgspec.UNSET else canonical(fill(reply.json)).decode()
    calls = []
    for call in reply.tool_calls:
        arguments = fill(call.arguments)
        calls.append(
            Call(call.name, arguments if isinstance(arguments, str) else canonical(arguments).decode())
        )
    return Reply(
        text=text,
        calls=tuple(calls),
        tokens_per_second=reply.tokens_per_second,
        usage=reply.usage,
        fault=reply.fault,
        fault_after=reply.fault_after,
        status=reply.status,
    )


def _seen(conversation: Conversation) -> Json:
    """Show what a request looked like, so that the author of a recording can write the missing rule."""
    return {
        "system": "\n".join(conversation.texts("system"))[:_SHOWN],
        "last_role": conversation.turns[-1].role,
        "last": conversation.turns[-1].text[:_SHOWN],
        "last_tool": conversation.turns[-1].tool,
        "last_user": conversation.last("user")[:_SHOWN],
        "tool_results": len(conversation.results),
        "offers": sorted(conversation.tools),
        "wants_json": conversation.schema is not None,
    }
