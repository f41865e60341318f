"""Floor 0: ids, instants, canonical bytes and refusals, which every other room speaks in."""

from bailiwick.base.canonical import Digest, Json, canonical, digest_of, memo_key, parse_canonical
from bailiwick.base.ids import mint_id, prefix_of
from bailiwick.base.instants import Instant, Moment, format_instant, parse_instant
from bailiwick.base.lease import LeaseLost
from bailiwick.base.refusal import Category, Long, Refusal, Short
from bailiwick.base.strict import BadInput, parse_strict
from bailiwick.base.visible import escaped, hidden_in, unmistakable, visible

__all__ = [
    "BadInput",
    "Category",
    "Digest",
    "Instant",
    "Json",
    "LeaseLost",
    "Long",
    "Moment",
    "Refusal",
    "Short",
    "canonical",
    "digest_of",
    "escaped",
    "format_instant",
    "hidden_in",
    "memo_key",
    "mint_id",
    "parse_canonical",
    "parse_instant",
    "parse_strict",
    "prefix_of",
    "unmistakable",
    "visible",
]
