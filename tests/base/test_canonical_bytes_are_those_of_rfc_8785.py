"""Canonical bytes against an independent implementation of RFC 8785, and what cannot have any."""

import math
import struct
from datetime import UTC, datetime

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from bailiwick.base import canonical, digest_of, parse_canonical

KEYS = st.text(st.characters(max_codepoint=126, min_codepoint=1), max_size=8)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | DOUBLES
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_our_bytes_are_the_bytes_of_the_standard(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(DOUBLES)
@example(-0.0)
@example(1.0)
@example(1e-6)
@example(1e-7)
@example(123456789012345680000.0)
@example(1e21)
@example(5e-324)
@example(1.7976931348623157e308)
@example(0.1 + 0.2)
@example(2.0**53)
def test_a_double_is_written_as_the_standard_writes_it(number: float) -> None:
    assert canonical([number]) == rfc8785.dumps([number])


@given(st.binary(min_size=8, max_size=8))
def test_any_bit_pattern_of_a_double_is_written_alike_or_refused(bits: bytes) -> None:
    (number,) = struct.unpack("<d", bits)
    if math.isfinite(number):
        assert canonical({"a": number}) == rfc8785.dumps({"a": number})
    else:
        with pytest.raises(TypeError):
            canonical({"a": number})


@given(VALUES)
def test_what_is_read_back_has_the_same_bytes(value: object) -> None:
    body = canonical(value)
    assert canonical(parse_canonical(body)) == body


def test_the_order_of_keys_does_not_change_the_name() -> None:
    one, other = {"b": [1, {"d": 1, "c": 2}], "a": 0}, {"a": 0, "b": [1, {"c": 2, "d": 1}]}
    assert canonical(one) == canonical(other) == b'{"a":0,"b":[1,{"c":2,"d":1}]}'
    assert digest_of(canonical(one)) == digest_of(canonical(other))


def test_a_digest_is_the_sha_256_in_lower_case() -> None:
    assert digest_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


NOT_JSON = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "a set": {1},
    "bytes": b"a",
    "a number as a key": {1: 2},
    "an integer over 64 bits": 2**64,
    "a lone surrogate": "\ud800",
    "a date": datetime(2026, 1, 1, tzinfo=UTC),
    "an object": object(),
    "a double hidden in a tuple": (1, [math.nan]),
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_has_no_bytes(value: object) -> None:
    with pytest.raises(TypeError):
        canonical({"a": value})
