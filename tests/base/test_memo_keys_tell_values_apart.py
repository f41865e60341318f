"""What is written down for a look into a memo is the same for equal values alone; where that cannot be told, it says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import canonical, memo_key

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON, JSON)
def test_values_with_one_key_are_the_same_to_the_last_byte(one: object, other: object) -> None:
    if memo_key(one) is not None and memo_key(one) == memo_key(other):
        assert canonical(one) == canonical(other)


def test_nan_has_no_key_that_null_has() -> None:
    assert memo_key({"a": float("nan")}) is None
    assert memo_key({"a": None}) is None


def test_the_order_of_names_does_not_matter() -> None:
    assert memo_key({"a": 1, "b": 2}) == memo_key({"b": 2, "a": 1})


def test_what_is_no_json_has_no_key() -> None:
    with pytest.raises(TypeError):
        memo_key({"a": {1, 2}})
