"""A step instance's name is part of its effects' keys: however it is held, it is printed in the same bytes for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bailiwick.base import Digest
from bailiwick.run import effect_key, is_undo, node_id, undone_by
from bailiwick.run.naming import is_top, is_turn, parent_of
from bailiwick.run.path import Level, Path, path_of

_IDS = some.from_regex(r"\$?[a-z][a-z0-9-]{0,8}", fullmatch=True)
_LEVELS = some.builds(
    lambda node, at, items: Level(node, item=at) if items else Level(node, at),
    _IDS,
    some.none() | some.integers(0, 10**6),
    some.booleans(),
)
_PATHS = some.builds(Path, some.lists(_LEVELS, min_size=1, max_size=5).map(tuple), some.booleans())

_GOLDEN = (
    # name, node, parent, on top, turn, compensation
    ("$context", "$context", "", True, False, False),
    ("$plan", "$plan", "", True, False, False),
    ("a", "a", "", True, False, False),
    ("a-1", "a-1", "", True, False, False),
    ("poll[1]", "poll", "poll", False, True, False),
    ("poll[20]", "poll", "poll", False, True, False),
    ("build[2].test", "test", "build", False, False, False),
    ("build[2].inner.test", "test", "build[2].inner", False, False, False),
    ("outer.a", "a", "outer", False, False, False),
    ("outer[1].poll[2]", "poll", "outer[1].poll", False, True, False),
    ("outer[1].inner[2].x", "x", "outer[1].inner", False, False, False),
    ("research{3}", "research", "research", False, True, False),
    ("research{3}.search", "search", "research", False, False, False),
    ("build[2].each{0}.go", "go", "build[2].each", False, False, False),
    ("a~undo", "a~undo", "", True, False, True),
    ("poll[2]~undo", "poll~undo", "", False, False, True),
    ("build[1].code~undo", "code~undo", "build", False, False, True),
)


@pytest.mark.parametrize(("name", "node", "parent", "top", "turn", "undo"), _GOLDEN)
def test_every_kind_of_name_is_read_and_printed_byte_for_byte(
    name: str, node: str, parent: str, top: bool, turn: bool, undo: bool
) -> None:
    assert path_of(name).name == name
    assert (node_id(name), parent_of(name), is_top(name), is_turn(name)) == (node, parent, top, turn)
    assert (is_undo(name), undone_by(name)) == (undo, name.removesuffix("~undo"))
    assert path_of(name).undo is undo


def test_the_key_of_an_effect_stays_what_it_was() -> None:
    key = effect_key(
        tenant="acme", run="run_1", step=path_of("build[2].test").name, digest=Digest("a" * 64), n=1
    )
    assert key == "eff_441d21cb72f57b1969c86ad4c8091ea3706ba76e"


@given(_PATHS)
def test_what_is_printed_is_read_back(path: Path) -> None:
    assert path_of(path.name) == path


@given(some.text(max_size=20))
def test_any_text_is_printed_back_as_it_is(name: str) -> None:
    assert path_of(name).name == name


@pytest.mark.parametrize(
    "name", ["a[02]", "a[]", "a[x]", "a{", "a[1", "", ".", "a.", "a..b", "a[1]{2}", "~undo"]
)
def test_what_no_plan_could_name_is_one_level(name: str) -> None:
    assert path_of(name).levels == (Level(name),)


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("build[2].test", "build", True),
        ("build[2].test", "build[2]", True),
        ("build[2].test", "build[1]", False),
        ("build[2].a.b", "build[2].a", True),
        ("building.test", "build", False),
        ("build", "build", False),
        ("poll[1]", "poll", True),
        ("poll", "poll[1]", False),
        ("each{1}.go", "each{10}", False),
        ("poll~undo", "poll", False),
    ],
)
def test_a_path_knows_what_it_stands_in(inner: str, outer: str, inside: bool) -> None:
    assert path_of(inner).inside(path_of(outer)) is inside
