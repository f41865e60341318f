"""What a provider says that it used: found wherever it stands, and repaired where its meaning is plain."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick.ports import Usage

_GIVEN = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count", "prompt_n")
_MADE = ("completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count", "predicted_n")
_TOTAL = ("total_tokens", "totalTokenCount")
_BESIDE_INPUT = ("cache_read_input_tokens", "cache_creation_input_tokens")
_CACHED = ("cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens", "cachedContentTokenCount")


def usage_in(chunk: Mapping[str, Any]) -> Usage | None:
    """Read the usage of one chunk: beside its choices, inside one, or in a field of the provider's own."""
    read = (_usage(found) for found in _places(chunk))
    return next((usage for usage in read if usage is not None), None)


def whole(count: object) -> int | None:
    """Read a count of tokens: a fraction, of a server that estimates, counts as the next whole one.

    Returns:
        The count, >= 0; None where the provider's figure is none.
    """
    if isinstance(count, str):
        try:
            count = float(count) if "." in count else int(count[:40])
        except ValueError:
            return None
    if isinstance(count, bool) or not isinstance(count, int | float) or not math.isfinite(count):
        return None
    return math.ceil(count) if count >= 0 else None


def _places(chunk: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    choices = _listed(chunk.get("choices"))
    holders = [chunk, chunk.get("x_groq"), *choices, *(choice.get("delta") for choice in choices)]
    for holder in holders:
        if isinstance(holder, dict):
            yield from (
                holder[name] for name in ("usage", "usageMetadata") if isinstance(holder.get(name), dict)
            )
    if isinstance(chunk.get("timings"), dict):
        yield chunk["timings"]


def _listed(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _usage(told: Mapping[str, Any]) -> Usage | None:
    given, made, total = _first(told, _GIVEN), _first(told, _MADE), _first(told, _TOTAL)
    if given is None and made is not None and total is not None and total >= made:
        given = total - made
    if given is None:
        return None
    if (
        "prompt_tokens" not in told and "input_tokens" in told
    ):  # this dialect counts the cache beside the input
        given += sum(whole(told.get(name)) or 0 for name in _BESIDE_INPUT)
    reasoning = whole(_inner(told, "completion").get("reasoning_tokens")) or 0
    if total is not None and (made is None or total > given + made):
        made = max(total - given, 0)  # thinking that was counted apart is paid like all that was made
    elif made is not None and reasoning > made:
        made += reasoning
    if made is None:
        return None
    cached = _first(_inner(told, "prompt"), _CACHED) or _first(told, _CACHED) or 0
    return Usage(given, made, cached_input_tokens=min(cached, given))


def _first(told: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    read = (whole(told.get(name)) for name in names)
    return next((count for count in read if count is not None), None)


def _inner(told: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    """Find the details of the prompt's or the completion's tokens."""
    other = "input" if side == "prompt" else "output"
    found = told.get(f"{side}_tokens_details") or told.get(f"{other}_tokens_details")
    return found if isinstance(found, dict) else {}
