"""The tree is that of RFC 6962, and each of its proofs holds for exactly one statement."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from bailiwick.audit import (
    Frontier,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LONG = bool(os.environ.get("BAILIWICK_LONG"))
WIDEST = 300 if LONG else 120

# The vectors of the Certificate Transparency reference implementation.
CT_DATA = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_LEAVES = [leaf_hash(data) for data in CT_DATA]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_0 = CT_ROOTS[0]
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
PAIR_2_3 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
HALF_4_7 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
PAIR_4_5 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
PAIR_6_7 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"

LEAVES = [leaf_hash(b"event %d" % at) for at in range(WIDEST)]
ROOTS = [root_of(LEAVES[:size]) for size in range(WIDEST + 1)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_log(size: int) -> None:
    assert root_of(CT_LEAVES[:size]).hex() == CT_ROOTS[size - 1]
    assert Frontier().extend(CT_LEAVES[:size]).root().hex() == CT_ROOTS[size - 1]


def test_a_log_without_leaves_has_the_hash_of_nothing_as_root() -> None:
    assert Frontier().root() == root_of([]) == hashlib.sha256(b"").digest()


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (0, 8, [LEAF_1, PAIR_2_3, HALF_4_7]),
        (5, 8, [LEAF_4, PAIR_6_7, CT_ROOTS[3]]),
        (2, 3, [CT_ROOTS[1]]),
        (1, 5, [LEAF_0, PAIR_2_3, LEAF_4]),
    ],
)
def test_inclusion_proofs_are_those_of_the_reference_log(index: int, size: int, path: list[str]) -> None:
    assert [step.hex() for step in prove_inclusion(CT_LEAVES[:size], index)] == path


@pytest.mark.parametrize(
    ("earlier", "size", "path"),
    [
        (1, 1, []),
        (1, 8, [LEAF_1, PAIR_2_3, HALF_4_7]),
        (6, 8, [PAIR_4_5, PAIR_6_7, CT_ROOTS[3]]),
        (2, 5, [PAIR_2_3, LEAF_4]),
    ],
)
def test_consistency_proofs_are_those_of_the_reference_log(earlier: int, size: int, path: list[str]) -> None:
    assert [step.hex() for step in prove_consistency(CT_LEAVES[:size], earlier)] == path


def test_a_log_grown_in_any_slices_has_the_root_of_all_its_leaves() -> None:
    for step in (1, 2, 3, 7, 64):
        frontier = Frontier()
        for start in range(0, WIDEST, step):
            frontier = frontier.extend(LEAVES[start : start + step])
            assert frontier.root() == ROOTS[frontier.size]
        assert frontier == Frontier().extend(LEAVES)


def test_growing_a_log_leaves_the_earlier_frontier_as_it_was() -> None:
    earlier = Frontier().extend(LEAVES[:7])
    earlier.extend(LEAVES[7:20])
    assert (earlier.size, earlier.root()) == (7, ROOTS[7])


@pytest.mark.parametrize(("size", "subtrees"), [(1, 0), (2, 2), (3, 1), (0, 1), (-1, 1)])
def test_a_damaged_frontier_is_not_taken(size: int, subtrees: int) -> None:
    with pytest.raises(ValueError, match="subtrees"):
        Frontier(size=size, subtrees=tuple(LEAVES[:subtrees]))


def altered(path: tuple[bytes, ...], at: int) -> Iterator[tuple[bytes, ...]]:
    """Paths that differ from the true one by a bit, a step less, or a step more."""
    if path:
        place = at % len(path)
        flipped = bytes([path[place][0] ^ 1]) + path[place][1:]
        yield (*path[:place], flipped, *path[place + 1 :])
        yield path[:-1]
        yield path[1:]
    yield (*path, LEAVES[0])


@pytest.mark.parametrize("sizes", range(0, WIDEST, 20), ids=lambda start: f"from-{start}")
def test_every_inclusion_proof_holds_and_no_altered_one_does(sizes: int) -> None:
    for size in range(max(sizes, 1), sizes + 20):
        root = ROOTS[size]
        for index in range(size):
            path = prove_inclusion(LEAVES[:size], index)
            assert verify_inclusion(LEAVES[index], index, size, path, root)
            wrong = LEAVES[(index + 1) % len(LEAVES)]
            assert not verify_inclusion(wrong, index, size, path, root)
            assert not verify_inclusion(LEAVES[index], (index + 1) % size, size, path, root) or size == 1
            assert not verify_inclusion(LEAVES[index], index, size, path, ROOTS[size - 1])
            for other in altered(path, index):
                assert not verify_inclusion(LEAVES[index], index, size, other, root)


@pytest.mark.parametrize("sizes", range(0, WIDEST, 20), ids=lambda start: f"from-{start}")
def test_every_consistency_proof_holds_and_no_altered_one_does(sizes: int) -> None:
    for size in range(sizes, sizes + 20):
        for earlier in range(size + 1):
            path = prove_consistency(LEAVES[:size], earlier)
            assert verify_consistency(earlier, ROOTS[earlier], size, ROOTS[size], path)
            rewritten = leaf_hash(ROOTS[earlier])
            assert not verify_consistency(earlier, rewritten, size, ROOTS[size], path)
            if earlier:
                assert not verify_consistency(earlier, ROOTS[earlier], size, rewritten, path)
            for other in altered(path, earlier):
                assert not verify_consistency(earlier, ROOTS[earlier], size, ROOTS[size], other)


def test_a_rewritten_past_is_not_consistent_with_a_witnessed_root() -> None:
    rewritten = [*LEAVES[:5], leaf_hash(b"forged"), *LEAVES[6:]]
    for size in range(7, 60):
        for earlier in range(6, size):
            path = prove_consistency(rewritten[:size], earlier)
            root = root_of(rewritten[:size])
            assert not verify_consistency(earlier, ROOTS[earlier], size, root, path)


def test_a_subtree_does_not_pass_for_the_whole_log() -> None:
    assert not verify_inclusion(LEAVES[0], 0, 4, [LEAVES[1]], ROOTS[2])
    assert not verify_inclusion(LEAVES[0], 0, 2, [], ROOTS[1])
    assert not verify_consistency(1, ROOTS[1], 4, ROOTS[2], [LEAVES[1]])
    assert not verify_consistency(2, ROOTS[2], 5, ROOTS[2], [])


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_there_is_no_proof_of_a_leaf_outside_the_log(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        prove_inclusion(LEAVES[:size], index)
    assert not verify_inclusion(LEAVES[0], index, size, (), ROOTS[size])


@pytest.mark.parametrize("earlier", [-1, 6])
def test_a_log_is_not_consistent_with_a_size_that_it_never_had(earlier: int) -> None:
    with pytest.raises(ValueError, match="never had"):
        prove_consistency(LEAVES[:5], earlier)
    assert not verify_consistency(earlier, ROOTS[5], 5, ROOTS[5], ())
