"""A leaf holds the header's exact bytes and, of the payload, only a commitment that does not leak."""

import hashlib
import itertools

import pytest

from bailiwick.audit import commitment, leaf_hash, seal
from bailiwick.base import parse_canonical

SALT = bytes(range(16))


def test_the_commitment_has_the_documented_form() -> None:
    expected = hashlib.sha256(b"bailiwick.payload.v1\0\x10" + SALT + b"{}").hexdigest()
    assert commitment(SALT, b"{}") == expected


def test_no_two_splits_of_the_same_bytes_share_a_commitment() -> None:
    joined = bytes(range(48))
    made = [commitment(joined[:cut], joined[cut:]) for cut in range(16, 49)]
    assert len(set(made)) == len(made)


def test_another_salt_or_another_body_is_another_commitment() -> None:
    pairs = itertools.product((SALT, SALT[::-1]), (b"{}", b"[]"))
    assert len({commitment(salt, body) for salt, body in pairs}) == 4


@pytest.mark.parametrize("size", [0, 1, 15, 256])
def test_a_salt_that_is_too_short_or_too_long_is_not_taken(size: int) -> None:
    with pytest.raises(ValueError, match="salt"):
        commitment(bytes(size), b"{}")


def test_a_sealed_header_is_canonical_and_says_its_place() -> None:
    header = seal({"kind": "started", "at": 7}, stream="run_a", seq=2, prev="ab", payload="cd")
    assert header == b'{"at":7,"kind":"started","payload":"cd","prev":"ab","seq":2,"stream":"run_a"}'


def test_a_header_without_payload_does_not_mention_one() -> None:
    header = parse_canonical(seal({}, stream="run_a", seq=1, prev="", payload=None))
    assert header == {"stream": "run_a", "seq": 1, "prev": ""}


@pytest.mark.parametrize("name", ["stream", "seq", "prev", "payload"])
def test_fields_cannot_speak_for_the_seal(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        seal({name: "x"}, stream="run_a", seq=1, prev="", payload=None)


def test_sealing_leaves_the_fields_as_they_were() -> None:
    fields = {"kind": "started"}
    seal(fields, stream="run_a", seq=1, prev="", payload="cd")
    assert fields == {"kind": "started"}


def test_a_leaf_is_never_the_hash_of_an_inner_node() -> None:
    assert leaf_hash(b"header") == hashlib.sha256(b"\0header").digest()
