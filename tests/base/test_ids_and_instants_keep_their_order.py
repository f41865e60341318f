"""Ids sort by time, instants come back as they went out, and neither leaves its range quietly."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailiwick.base import BadInput, Instant, format_instant, mint_id, parse_instant, prefix_of

MILLIS = st.integers(0, 2**48 - 1)
ENTROPY = st.integers(0, 2**80 - 1)
FIRST = parse_instant("0001-01-01T00:00:00Z")
LAST = parse_instant("9999-12-31T23:59:59.999999Z")


@given(MILLIS, ENTROPY, MILLIS, ENTROPY)
@example(0, 2**80 - 1, 1, 0)
@example(2**48 - 1, 0, 2**48 - 1, 2**80 - 1)
def test_ids_sort_by_time_then_by_entropy(millis: int, entropy: int, later: int, other: int) -> None:
    one, two = mint_id("run", millis, entropy), mint_id("run", later, other)
    assert (one < two) == ((millis, entropy) < (later, other))
    assert (one == two) == ((millis, entropy) == (later, other))


@given(MILLIS, ENTROPY)
def test_an_id_is_a_prefix_and_26_plain_characters(millis: int, entropy: int) -> None:
    identifier = mint_id("apr", millis, entropy)
    assert prefix_of(identifier) == "apr"
    assert len(identifier) == len("apr_") + 26
    assert set(identifier[4:]) <= set("0123456789abcdefghjkmnpqrstvwxyz")


@pytest.mark.parametrize(("millis", "entropy"), [(-1, 0), (2**48, 0), (0, -1), (0, 2**80)])
def test_an_id_out_of_range_is_not_made(millis: int, entropy: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        mint_id("run", millis, entropy)


def test_a_text_without_a_prefix_has_none() -> None:
    assert prefix_of("01jd7x") == ""
    assert prefix_of("") == ""


@given(st.integers(FIRST, LAST))
def test_an_instant_comes_back_as_it_went_out(at: int) -> None:
    shown = format_instant(Instant(at))
    assert parse_instant(shown) == at
    assert len(shown) == len("2026-11-21T02:03:06.000001Z")


@given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
def test_shown_instants_sort_like_instants(one: int, other: int) -> None:
    assert (format_instant(Instant(one)) < format_instant(Instant(other))) == (one < other)


def test_an_offset_names_the_same_moment() -> None:
    assert parse_instant("2026-11-21T03:03:06.5+01:00") == parse_instant("2026-11-21T02:03:06.500000Z")
    assert parse_instant("1970-01-01T00:00:00.000001Z") == 1
    assert parse_instant("1970-01-01T00:00:00.123456789Z") == 123_456


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T02:03:06",
        "2026-11-21 02:03:06Z",
        "2026-11-21T02:03Z",
        "20261121T020306Z",
        "2026-W47-6T02:03:06Z",
        "2026-11-21T02:03:06,5Z",
        "2026-11-21T02:03:06+01",
        "2026-11-21T02:03:06+01:00:30",
        "2026-11-21T02:03:06Z\n",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-21T25:00:00Z",
        "2026-11-21T02:03:60Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "٢٠٢٦-11-21T02:03:06Z",
        "1" * 100_000,
    ],
)
def test_what_is_no_rfc_3339_instant_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_instant(text)
    assert "2026-11-21" in refusal.value.remedy
    assert len(refusal.value.message) < 200
