r"""Recordings: scripted answers as data, chosen by what a request *says*, never by how many came before it.

So a run that is killed and resumed, or retried, gets the same answers again. A recording is a JSON file:

    {
      "model": "delivery",
      "about": "what it plays, shown by the server",
      "rules": [
        {
          "name": "implementer reads red tests",
          "when": {"system_contains": "You implement", "last_tool": "tests.run", "last_contains": "failed"},
          "capture": {"file": {"from": "last", "pattern": "([a-z_]+\\.py)"}},
          "reply": {
            "text": "The tests are red, I correct {{file}}.",
            "tool_calls": [{"name": "files.write", "arguments": {"path": "{{file}}", "text": {"$file": "fixed.py"}}}]
          }
        }
      ]
    }

The model's name in a request picks the recording. The **first rule** whose conditions all hold answers; if none
does, the request gets a 400 that shows what it looked like and why each rule did not fit.

`when`: each condition that is given must hold; `{}` always holds. A text may be one string or a list (all of them).

| condition | holds when |
|---|---|
| `system_contains`, `first_user_contains`, `last_user_contains` | that message contains the text (exactly, case counts) |
| `last_contains`, `last_lacks` | the newest message, of whatever role, contains it, or does not |
| `contains`, `not_contains` | the texts of all messages together contain it, or do not |
| `matches` | the regular expression (RE2) is found in the texts of all messages |
| `last_role` | the newest message has this role: system, user, assistant or tool |
| `tool_results` | exactly so many tool results have come since the newest message of the user |
| `last_tool` | the newest message is the result of this tool |
| `offers` | the request offers these tools |
| `wants_json` | a JSON answer is asked for (true), or is not (false) |

`capture` names texts of the request: `from` is system, first_user, last_user, last or all; `pattern` a regular
expression (RE2) whose group 1 (or whole match) is kept, of the first match; `default` stands in where it is not found.
Without a default the rule does not fit. `{{name}}` puts a captured text into any string of the reply.

`reply` holds `text` (a string, or a list of lines) or `json` (any value, sent as its JSON text), and any number of
`tool_calls`; further `tokens_per_second` (0: as fast as possible), `usage` (false: none is reported), `status` with
`text` as the message of an error, and `fault` (cut, stall, garbage, unfinished) after `fault_after` tokens.
Inside `json` and `arguments`, `{"$lines": ["a", "b"]}` is the text "a\nb\n", and `{"$file": "name"}` is the text of a
file beside the recording, taken as it is. Tools are named as in contracts (`files.write`).
"""

import re
from pathlib import Path
from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]

from bailiwick.base import Category, Json, Refusal, parse_strict
from bailiwick.testing.reply import Fault

PLACE = re.compile(r"\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}")
MAX_BYTES = 4_194_304
SOURCES = ("all", "first_user", "last", "last_user", "system")

Texts = str | list[str]


class InvalidRecording(Refusal, code="invalid_recording", category=Category.INVALID):
    """A file is not a recording."""

    place: str
    reason: str
    says = "{place}: {reason}"
    remedy = "the format is described at the top of bailiwick/testing/recording.py"


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The conditions of a rule; None is not asked."""

    system_contains: Texts | None = None
    first_user_contains: Texts | None = None
    last_user_contains: Texts | None = None
    last_contains: Texts | None = None
    last_lacks: Texts | None = None
    contains: Texts | None = None
    not_contains: Texts | None = None
    matches: str | None = None
    last_role: str | None = None
    tool_results: int | None = None
    last_tool: str | None = None
    offers: Texts | None = None
    wants_json: bool | None = None


class Capture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """A text to take from the request."""

    pattern: str
    source: str = "all"
    default: str | None = None


class ToolCallTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of a tool before captured texts are put in; `arguments` as a string is sent raw."""

    name: str
    arguments: dict[str, Any] | str = msgspec.field(default_factory=dict)


class ReplyTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reply before captured texts are put in."""

    text: Texts = ""
    json: Any = msgspec.UNSET
    tool_calls: tuple[ToolCallTemplate, ...] = ()
    tokens_per_second: float = 0
    usage: bool = True
    status: int = 200
    fault: Fault = Fault.NONE
    fault_after: int = 0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer and when it is given."""

    name: str
    reply: ReplyTemplate
    when: When = When()
    capture: dict[str, Capture] = msgspec.field(default_factory=dict)


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that plays from rules."""

    model: str
    rules: tuple[Rule, ...]
    about: str = ""


class Verbatim(str):
    """The text of a file, into which nothing is put."""

    __slots__ = ()


def load_recording(path: Path) -> Recording:
    """Read a recording and the files that it names (they must lie in its folder).

    Raises:
        InvalidRecording: Not JSON, an unknown or missing field, a bad pattern, a place without a capture,
            or a file that is missing or outside.
    """
    try:
        recording = msgspec.convert(parse_strict(path.read_bytes(), limit=MAX_BYTES), Recording)
    except (OSError, msgspec.ValidationError) as error:
        raise InvalidRecording(path.name, str(error)) from error
    except Refusal as refusal:
        raise InvalidRecording(path.name, refusal.message) from refusal
    rules = tuple(_checked(rule, path) for rule in recording.rules)
    return msgspec.structs.replace(recording, rules=rules)


def _checked(rule: Rule, path: Path) -> Rule:
    place = f"{path.name}: rule {rule.name!r}"
    for pattern in [*(each.pattern for each in rule.capture.values()), rule.when.matches or ""]:
        try:
            re2.compile(pattern)
        except re2.error as error:
            raise InvalidRecording(place, f"the pattern {pattern!r} is not RE2: {error}") from error
    for capture in rule.capture.values():
        if capture.source not in SOURCES:
            raise InvalidRecording(
                place, f"cannot capture from {capture.source!r}, only from {sorted(SOURCES)}"
            )
    calls = tuple(
        msgspec.structs.replace(call, arguments=_expanded(call.arguments, path, place))
        for call in rule.reply.tool_calls
    )
    reply = msgspec.structs.replace(
        rule.reply,
        json=_expanded(rule.reply.json, path, place),
        tool_calls=calls,
        text=_joined(rule.reply.text),
    )
    strings = _strings([reply.text, reply.json, [[call.name, call.arguments] for call in calls]])
    unknown = sorted({name for text in strings for name in PLACE.findall(text)} - set(rule.capture))
    if unknown:
        raise InvalidRecording(place, f"nothing captures {', '.join(unknown)}")
    return msgspec.structs.replace(rule, reply=reply)


def _joined(text: Texts) -> str:
    return text if isinstance(text, str) else "\n".join(text)


def _expanded(value: Json, path: Path, place: str) -> Json:
    if isinstance(value, list):
        return [_expanded(each, path, place) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$lines"} and isinstance(value["$lines"], list):
        return "".join(f"{line}\n" for line in value["$lines"])
    if set(value) == {"$file"} and isinstance(value["$file"], str):
        folder = path.parent.resolve()
        file = (folder / value["$file"]).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            raise InvalidRecording(place, f"there is no file {value['$file']!r} beside the recording")
        return Verbatim(file.read_text("utf-8"))
    return {key: _expanded(each, path, place) for key, each in value.items()}


def _strings(value: Json) -> list[str]:
    if isinstance(value, str):
        return [] if isinstance(value, Verbatim) else [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _strings(child)]
