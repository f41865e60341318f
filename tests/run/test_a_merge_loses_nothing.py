"""A merge is pure and exact: no order matters, what nobody ran beside is taken as it is, and nothing vanishes in silence."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as some

from bailiwick.base import digest_of
from bailiwick.run import Join, Manifest, Merged, manifest_bytes, manifest_of, merge
from bailiwick.run.merging import MAX_FILES, Change

_PATHS = some.sampled_from(["a", "b", "d", "d/e", "d/e/f"])
_CONTENTS = some.tuples(some.sampled_from(["100644", "100755"]), some.sampled_from(["1" * 64, "2" * 64]))


def _sound(files: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Leave out what lies below a file: no workspace holds both."""
    return {path: said for path, said in files.items() if not any(path.startswith(f"{p}/") for p in files)}


_WORKSPACES = some.dictionaries(_PATHS, _CONTENTS, max_size=4).map(_sound)


class Trees:
    """Workspaces by their names."""

    def __init__(self) -> None:
        self.known: dict[str, Manifest] = {}

    def name(self, files: Manifest) -> str:
        tree = digest_of(manifest_bytes(files))
        self.known[tree] = files
        return tree

    def merge(self, base: str, *changes: Change, take: str = "") -> Merged:
        merged, body = merge(Join(base, changes, take), self.known)
        assert digest_of(body) == merged.tree
        self.known[merged.tree] = manifest_of(body)
        return merged


@given(_WORKSPACES, some.lists(_WORKSPACES, min_size=1, max_size=4))
@settings(max_examples=300)
def test_every_order_of_the_sources_gives_the_same(base: Manifest, ends: list[Manifest]) -> None:
    trees = Trees()
    begin = trees.name(base)
    changes = [Change(f"s{at}", begin, trees.name(end)) for at, end in enumerate(ends)]
    found = [trees.merge(begin, *order) for order in permutations(changes)]
    assert all(each == found[0] for each in found)


@given(_WORKSPACES, _WORKSPACES)
def test_a_merge_with_its_own_ancestor_is_the_descendant(base: Manifest, end: Manifest) -> None:
    trees = Trees()
    begin, after = trees.name(base), trees.name(end)
    assert trees.merge(begin, Change("idle", begin, begin), Change("s", begin, after)) == Merged(after)
    later = Change("later", after, after, ("s",))
    assert trees.merge(begin, Change("s", begin, after), later) == Merged(after)


@given(_WORKSPACES, some.lists(_WORKSPACES, min_size=2, max_size=4))
@settings(max_examples=300)
def test_what_anybody_wrote_is_there_or_named(base: Manifest, ends: list[Manifest]) -> None:
    trees = Trees()
    begin = trees.name(base)
    changes = tuple(Change(f"s{at}", begin, trees.name(end)) for at, end in enumerate(ends))
    merged = trees.merge(begin, *changes)
    result = trees.known[merged.tree]
    named = {conflict.path: conflict.writers for conflict in merged.conflicts}
    for change, end in zip(changes, ends, strict=True):
        for path in {*base, *end}:
            if base.get(path) == end.get(path) or result.get(path) == end.get(path):
                continue
            around = [path, *(conflict for conflict in named if path.startswith(f"{conflict}/"))]
            assert any(change.step in named.get(each, ()) for each in around), (path, merged)
    touched = {path for end in ends for path in {*base, *end} if base.get(path) != end.get(path)}
    untouched = {path: said for path, said in base.items() if path not in touched}
    assert {path: result.get(path) for path in untouched} == untouched
    assert _sound(dict(result)) == result, "the result is a workspace"


@given(_WORKSPACES, some.lists(_WORKSPACES, min_size=2, max_size=3))
def test_to_take_a_step_settles_what_it_is_a_party_to(base: Manifest, ends: list[Manifest]) -> None:
    trees = Trees()
    begin = trees.name(base)
    changes = tuple(Change(f"s{at}", begin, trees.name(end)) for at, end in enumerate(ends))
    open_ones = trees.merge(begin, *changes).conflicts
    taken = trees.merge(begin, *changes, take="s0")
    assert not [conflict for conflict in taken.conflicts if "s0" in conflict.writers]
    for conflict in open_ones:
        if "s0" in conflict.writers:
            assert trees.known[taken.tree].get(conflict.path) == ends[0].get(conflict.path)


@given(_WORKSPACES, _WORKSPACES, _WORKSPACES)
def test_of_two_in_order_the_later_one_holds(base: Manifest, first: Manifest, second: Manifest) -> None:
    trees = Trees()
    begin, one, two = (trees.name(each) for each in (base, first, second))
    merged = trees.merge(begin, Change("one", begin, one), Change("two", one, two, ("one",)))
    assert merged == Merged(two)


def test_a_workspace_that_would_be_too_large_is_a_conflict() -> None:
    trees = Trees()
    begin = trees.name({})
    half = MAX_FILES // 2 + 1
    sides = [{f"{side}{n}": ("100644", "1" * 64) for n in range(half)} for side in "ab"]
    changes = [Change(f"s{at}", begin, trees.name(files)) for at, files in enumerate(sides)]
    merged = trees.merge(begin, *changes)
    assert [conflict.writers for conflict in merged.conflicts] == [("s0", "s1")]
    assert str(2 * half) in merged.conflicts[0].path
