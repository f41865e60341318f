"""A refusal is its code, a sentence, the facts in it and a way out; what was handed in is shown cut."""

from pathlib import Path

import pytest

from bailiwick.base import Category, Instant, Long, Moment, Refusal, Short


class Full(Refusal, code="full", category=Category.LIMITED):
    """Nothing more fits."""

    what: Short
    where: Path
    held: tuple[str, ...]
    until: Moment
    limit: int
    hint: str = "nothing"
    spoken = ("hint",)
    says = "{what!r} does not fit into {where}, which holds {held!l} until {until}"
    remedy = "remove {hint}; at most {limit:,} fit"


class Fuller(Full, category=Category.CONFLICT):
    """More than that."""


class Bare(Refusal, code="bare"):
    """Without a field."""

    says = "no {{field}}"
    remedy = "none"


def full(kind: type[Full] = Full) -> Full:
    return kind("x" * 100, Path("/box"), ("a", "b"), Instant(0), limit=1000)


@pytest.mark.parametrize("kind", [Full, Fuller])
def test_the_sentence_and_the_facts_say_the_same(kind: type[Full]) -> None:
    refusal = full(kind)
    assert str(refusal) == refusal.message
    assert refusal.message == (
        f"{'x' * 80!r} does not fit into /box, which holds a, b until 1970-01-01T00:00:00.000000Z"
    )
    assert refusal.remedy == "remove nothing; at most 1,000 fit"
    assert list(refusal.facts.items()) == [
        ("what", "x" * 80),
        ("where", "/box"),
        ("held", ["a", "b"]),
        ("until", "1970-01-01T00:00:00.000000Z"),
        ("limit", 1000),
    ]


def test_a_code_and_a_category_are_inherited_where_none_is_named() -> None:
    assert (Full.code, Full.category) == ("full", Category.LIMITED)
    assert (Fuller.code, Fuller.category) == ("full", Category.CONFLICT)
    assert (Bare.code, Bare.category) == ("bare", Category.INVALID)
    assert (Bare().message, Bare().facts) == ("no {field}", {})


def test_what_is_handed_in_fills_a_sentence_and_is_never_one() -> None:
    class Odd(Refusal, code="odd"):
        """Something odd came."""

        text: Long
        says = "odd: {text}"
        remedy = "{text} is not it"

    refusal = Odd("{limit} {0} {text!r}")
    assert refusal.message == "odd: {limit} {0} {text!r}"
    assert refusal.remedy == "{limit} {0} {text!r} is not it"


@pytest.mark.parametrize("given", [{}, {"what": "x"}, {"size": 1}])
def test_a_refusal_without_its_facts_is_a_fault_of_the_program(given: dict[str, object]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Full(**given)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Bare("too much")  # type: ignore[call-overload]
