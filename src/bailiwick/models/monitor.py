"""The response monitor: reads an answer as it comes, and says when it must not go on."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
import re2  # type: ignore[import-untyped]

from bailiwick.budget import HIDDEN, Price, cost_micro_usd, token_bound
from bailiwick.contract import ErrorCategory
from bailiwick.models.prefix import Misfit, SchemaPrefix
from bailiwick.models.repetition import Repetition
from bailiwick.ports import ModelRequest, Usage

MAX_ANSWER_BYTES = 8 * 1_048_576
MAX_PIECES = 1_000_000
_OVERLAP = 256
_BYTES_PER_TOKEN = 4
_PREAMBLE_BYTES = 1024
"""How much prose, fence or thinking may stand before a structured answer; where it opens is found out afterwards."""


class Interruption(StrEnum):
    """Why an answer was cut off."""

    FORBIDDEN = "forbidden-content"
    DRIFT = "drift"
    SPEND = "spend-limit"
    SIZE = "size"
    STALL = "stall"
    REPETITION = "repetition"

    @property
    def category(self) -> ErrorCategory:
        """How the call's failure is routed."""
        match self:
            case Interruption.SPEND:
                return ErrorCategory.EXHAUSTED
            case Interruption.STALL:
                return ErrorCategory.TIMEOUT
            case _:
                return ErrorCategory.INVALID_OUTPUT


class Interrupted(Exception):
    """The monitor cut an answer off. `detail` names the rule, never the content."""

    def __init__(self, interruption: Interruption, detail: str) -> None:
        super().__init__(f"the answer was cut off: {detail}")
        self.interruption = interruption


class ForbiddenContent:
    """Texts that no answer may hold: named patterns, and values that are known.

    Args:
        patterns: Names and regular expressions (RE2: linear, whatever the answer).
        known_values: Exact texts, for example secrets that were issued; searched all at once.
    """

    def __init__(self, patterns: Mapping[str, str] | None = None, known_values: Sequence[str] = ()) -> None:
        self._patterns = [(name, re2.compile(text)) for name, text in (patterns or {}).items()]
        values = [value for value in known_values if value]
        if values:
            self._patterns.append(
                ("known value", re2.compile("|".join(re2.escape(value) for value in values)))
            )
        self.overlap = max([_OVERLAP, *(len(value) for value in values)])

    def found_in(self, text: str) -> str | None:
        """Name the first pattern that the text holds; None when it holds none."""
        return next((name for name, pattern in self._patterns if pattern.search(text)), None)


class MonitorRules(msgspec.Struct, frozen=True):
    """What the monitor of every answer goes by. `stall_seconds`: the longest silence of a provider that names none."""

    forbidden: ForbiddenContent
    stall_seconds: float = 60.0


class ResponseMonitor:
    """Watches one answer.

    Args:
        request: What was asked; its spend limit, output limit, tools and schema decide what is too much or adrift.
        price: The model's price, for the spend limit.
        input_tokens: The bound of the request's input, as it was reserved.
        rules: What no answer may hold.
        must_open_with: What a structured answer begins with (`{`), before long; empty where anything may come.
        repetition_chars: How many characters in a row may say nothing new; 0: as many as there are.
        structured: Whether a text that opens like an object is the answer that the request's schema asks for.
    """

    def __init__(
        self,
        request: ModelRequest,
        price: Price,
        input_tokens: int,
        rules: MonitorRules,
        must_open_with: str = "",
        *,
        repetition_chars: int = 0,
        structured: bool = False,
    ) -> None:
        self._limit = request.spend_limit_micro_usd
        self._output_limit = request.max_output_tokens
        self._price = price
        self._input_tokens = input_tokens
        self._forbidden = rules.forbidden
        self._must_open_with = must_open_with
        schema = request.output_schema if structured else None
        self._before = 0
        self._prefix = SchemaPrefix(schema) if schema is not None else None
        self._opened = False
        self._repetition_chars = repetition_chars
        self._repetitions: dict[str, Repetition] = {}
        self._channels: dict[str, list[str]] = {}
        self._tails: dict[str, str] = {}
        self._bytes = 0
        self._deltas = 0

    def saw(self, channel: str, delta: str) -> None:
        """Look at the next piece of a channel (`text`, `thinking`, or one of a tool call).

        Raises:
            Interrupted: The answer must not go on.
        """
        self._deltas += 1
        self._channels.setdefault(channel, []).append(delta)
        self.weigh(delta)
        window = self._tails.get(channel, "") + delta
        self._refuse_forbidden(window)
        self._tails[channel] = window[-self._forbidden.overlap :]
        if channel == "text":
            self._refuse_drift(delta)
        self._refuse_repetition(channel, delta)
        self._refuse_overspending()

    def weigh(self, text: str) -> None:
        """Count what is kept of an answer, read or not.

        Raises:
            Interrupted: It is too long, or comes in too many pieces.
        """
        self._bytes += token_bound(text)
        if self._bytes > MAX_ANSWER_BYTES:
            raise Interrupted(Interruption.SIZE, f"it is longer than {MAX_ANSWER_BYTES} bytes")
        if self._deltas > MAX_PIECES:
            raise Interrupted(Interruption.SIZE, f"it comes in more than {MAX_PIECES} pieces")

    def finish(self) -> None:
        """Look at the whole answer once more, for what is longer than the window of the running search.

        Raises:
            Interrupted: It holds forbidden content.
        """
        for pieces in self._channels.values():
            self._refuse_forbidden("".join(pieces))

    @property
    def began(self) -> bool:
        """Whether anything of the answer has come."""
        return self._deltas > 0

    @property
    def most_tokens(self) -> tuple[int, int]:
        """The most input and output tokens that the provider can have used for this answer."""
        return self._input_tokens + HIDDEN, max(self._output_limit, self._bytes)

    def usage(self) -> Usage:
        """Estimate what was used so far, on the safe side: for a call whose provider never told.

        At least what came in pieces, at most the output limit unless more pieces came than that.
        """
        output = max(min(self._bytes, self._output_limit), self._deltas)
        return Usage(input_tokens=self._input_tokens, output_tokens=output, source="estimated")

    def _refuse_forbidden(self, text: str) -> None:
        name = self._forbidden.found_in(text)
        if name is not None:
            raise Interrupted(Interruption.FORBIDDEN, f"it held forbidden content ({name})")

    def _refuse_repetition(self, channel: str, delta: str) -> None:
        if not self._repetition_chars:
            return
        if channel not in self._repetitions:
            self._repetitions[channel] = Repetition(self._repetition_chars)
        if self._repetitions[channel].feed(delta):
            said = f"it said the same again and again for {self._repetition_chars} characters"
            raise Interrupted(Interruption.REPETITION, said)

    def _refuse_drift(self, delta: str) -> None:
        opening = delta.lstrip()
        if self._must_open_with and opening:
            self._before += token_bound(delta)
            if self._must_open_with in delta:
                self._must_open_with = ""
            elif self._before > _PREAMBLE_BYTES:
                raise Interrupted(Interruption.DRIFT, "it is no JSON object, which its schema asks for")
        if self._prefix is None or not (opening or self._opened):
            return
        if not self._opened and not opening.startswith("{"):
            self._prefix = None
            return
        self._opened = True
        try:
            self._prefix.feed(delta)
        except Misfit as misfit:
            if self._prefix.complete:  # it has said its answer, and goes on in words
                self._prefix = None
                return
            raise Interrupted(Interruption.DRIFT, f"it cannot fit its schema: {misfit}") from misfit

    def _refuse_overspending(self) -> None:
        """Compare the *likely* cost with the limit: the bound would cut off answers that are within it."""
        if self._limit is None:
            return
        likely = max(self._deltas, self._bytes // _BYTES_PER_TOKEN)
        usage = Usage(input_tokens=self._input_tokens, output_tokens=likely, source="estimated")
        if cost_micro_usd(self._price, usage) > self._limit:
            raise Interrupted(Interruption.SPEND, f"it costs more than its limit of {self._limit} micro-USD")
