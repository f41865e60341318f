"""Capability references: how they are written, and which version they choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import Category
from bailiwick.contract import CapabilityRef, InvalidReference, parse_ref, satisfies, select_version

PARTS = st.integers(0, 999_999_999)
VERSIONS = st.tuples(PARTS, PARTS, PARTS).map(lambda parts: ".".join(map(str, parts)))


@pytest.mark.parametrize(
    ("text", "name", "floor"),
    [
        ("summarize", "summarize", ()),
        ("git.apply@1", "git.apply", (1,)),
        ("git.apply@1.2", "git.apply", (1, 2)),
        ("a-b_c.d2.e@0.0.1", "a-b_c.d2.e", (0, 0, 1)),
    ],
)
def test_a_reference_is_read_and_written_alike(text: str, name: str, floor: tuple[int, ...]) -> None:
    assert parse_ref(text) == CapabilityRef(name, floor)
    assert str(parse_ref(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@1",
        "Git",
        "git..apply",
        ".git",
        "git.",
        "git@",
        "git@v1",
        "git@1.",
        "git@1.2.3.4",
        "git@-1",
        "git@01",
        "git@1.02",
        "git@٣",
        "git@1\n",
        "git apply",
        "git/apply",
        "gît",
        "git@9999999999",
        "a" * 201,
        "a" * 1_000_000,
    ],
)
def test_what_names_no_capability_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidReference) as refusal:
        parse_ref(text)
    assert refusal.value.code == "invalid_reference"
    assert refusal.value.category is Category.INVALID
    assert refusal.value.facts == {"text": text[:80]}


@pytest.mark.parametrize(
    ("version", "reference", "serves"),
    [
        ("1.4.0", "a", True),
        ("1.4.0", "a@1", True),
        ("1.4.0", "a@1.3", True),
        ("1.4.0", "a@1.4", True),
        ("1.4.0", "a@1.5", False),
        ("2.0.0", "a@1", False),
        ("2.0.0", "a@1.0", False),
        ("0.9.0", "a@1", False),
        ("1.4.0", "a@1.4.0", True),
        ("1.4.1", "a@1.4.0", False),
        ("1.10.0", "a@1.9", True),
        ("1.4", "a", False),
        ("1.4.0-rc1", "a", False),
        ("٣.0.0", "a", False),
        ("01.0.0", "a", False),
        ("1.0.0\n", "a", False),
    ],
)
def test_a_version_serves_its_major_from_the_floor_up(version: str, reference: str, serves: bool) -> None:
    assert satisfies(version, parse_ref(reference)) is serves


def test_the_highest_version_by_number_is_chosen() -> None:
    assert select_version(["1.9.0", "1.10.0", "2.0.0", "1.2.9"], parse_ref("a@1")) == "1.10.0"
    assert select_version(["1.9.0"], parse_ref("a@2")) is None
    assert select_version([], parse_ref("a")) is None


@given(st.lists(VERSIONS, max_size=6), st.lists(PARTS, max_size=3))
def test_the_choice_serves_and_no_other_that_serves_is_higher(versions: list[str], floor: list[int]) -> None:
    reference = CapabilityRef("a", tuple(floor))
    chosen = select_version(versions, reference)
    serving = [version for version in versions if satisfies(version, reference)]
    assert (chosen is None) == (not serving)
    if chosen is not None:
        numbers = [tuple(map(int, version.split("."))) for version in serving]
        assert tuple(map(int, chosen.split("."))) == max(numbers)
