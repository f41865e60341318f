"""Instructions: whether a model would be told what to do by a text that a model of the same run wrote."""

import contextlib
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from bailiwick.base import BadInput, Json, parse_strict
from bailiwick.run import ANSWERED, Call, Run
from bailiwick.service.core.runs import Runs

PHRASE_WORDS = 8
LEAST_WORDS = 4
MAX_TEXT = 262_144
_RUNS = 32
MOST_PHRASES = 500_000
"""How many phrases are remembered of all runs together, about 40 MB; of one run, all."""
_WORD = re.compile(r"\w+")


class Written:
    """What the models of one run have written so far: its phrases, less those that they were told before."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.told: set[int] = set()
        self.phrases: set[int] = set()
        self.lengths: set[int] = set()

    @property
    def size(self) -> int:
        """How many phrases are remembered."""
        return len(self.told) + len(self.phrases)


class Instructions:
    """Compares a model's instructions with what the run's models have answered; remembers the last runs.

    A phrase is eight words in a row, or a whole answer of four to seven, whatever their case and punctuation. What a
    model only repeats of its own request is not of its making.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._known: OrderedDict[str, Written] = OrderedDict()

    async def generated(self, run: Run, texts: Iterable[str]) -> bool:
        """Whether one of these instructions holds a phrase that a model of this run wrote."""
        given = [text for text in texts if text]
        answered = [call for call in run.calls.values() if call.model and call.state in ANSWERED]
        if not given or not answered:
            return False
        written = self._known.setdefault(run.id, Written())
        self._known.move_to_end(run.id)
        for call in sorted(answered, key=lambda call: call.outcome_seq):
            if f"{call.key}.{call.outcome_seq}" not in written.seen:
                await self._learn(run, call, written)
        self._forget()
        return any(
            phrase in written.phrases
            for text in given
            for size in written.lengths
            for phrase in _phrases(text, size)
        )

    def _forget(self) -> None:
        """Let go of the runs that were asked about longest ago; what is forgotten is read again."""
        while len(self._known) > 1 and (
            len(self._known) > _RUNS or sum(each.size for each in self._known.values()) > MOST_PHRASES
        ):
            self._known.popitem(last=False)

    async def _learn(self, run: Run, call: Call, written: Written) -> None:
        asked = await self._runs.payload(run.tenant, run.id, call.action_seq)
        outcome = await self._runs.payload(run.tenant, run.id, call.outcome_seq)
        for text in _strings(_at(asked, "action", "arguments", "messages")):
            for size in range(LEAST_WORDS, PHRASE_WORDS + 1):
                written.told.update(_phrases(text, size))
        for text in _answers(_at(outcome, "outcome", "message")):
            size = min(len(_words(text)), PHRASE_WORDS)
            if size >= LEAST_WORDS:
                written.lengths.add(size)
                written.phrases.update(
                    phrase for phrase in _phrases(text, size) if phrase not in written.told
                )
        written.seen.add(f"{call.key}.{call.outcome_seq}")


def _at(value: Json, *path: str) -> Json:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _answers(message: Json) -> Iterator[str]:
    """List what a model wrote: its text, the strings in it where it is JSON, and what it gave to tools."""
    if not isinstance(message, dict):
        return
    text = str(message.get("text", ""))
    yield text
    with contextlib.suppress(BadInput):
        yield from _strings(parse_strict(text[:MAX_TEXT].encode(errors="replace")))
    yield from _strings(message.get("tool_uses"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold())


def _phrases(text: str, size: int) -> Iterator[int]:
    words = _words(text)
    for at in range(len(words) - size + 1):
        yield hash(tuple(words[at : at + size]))
