"""What the strict door lets in, what it refuses, and that it refuses quickly."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import BadInput, Category, Refusal, canonical, parse_strict

MEGA = 1_000_000

HOSTILE = {
    "nothing": b"",
    "blanks": b" \n\t",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"a":1}'.encode("utf-16"),
    "not utf-8": b'{"a":"\xff"}',
    "an overlong slash": b'{"a":"\xc0\xaf"}',
    "a raw lone surrogate": b'{"a":"\xed\xa0\x80"}',
    "an escaped lone surrogate": rb'{"a":"\ud800"}',
    "surrogates in the wrong order": rb'{"a":"\udc00\ud800"}',
    "a lone surrogate in a key": rb'{"\ud800":1}',
    "a raw NUL": b'{"a":"\x00"}',
    "an escaped NUL": rb'{"a":"\u0000"}',
    "an escaped NUL in a key": rb'{"a\u0000":1}',
    "a raw newline in text": b'{"a":"\n"}',
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, deep": b'{"a":[{"b":{"c":1,"c":2}}]}',
    "a key twice, once escaped": rb'{"a":1,"\u0061":2}',
    "a key that is not ascii": '{"ä":1}'.encode(),
    "a key that is not ascii, escaped": rb'{"\u00e4":1}',
    "NaN": b'{"a":NaN}',
    "infinity": b"[-Infinity]",
    "a number that overflows": b"[1e400]",
    "a long number that overflows": b"[" + b"9" * 5000 + b"e1]",
    "2 to the 53rd": b"[9007199254740992]",
    "minus 2 to the 53rd": b"[-9007199254740992]",
    "an integer of a hundred thousand digits": b"[" + b"7" * 100_000 + b"]",
    "a leading zero": b"[01]",
    "a plus sign": b"[+1]",
    "a bare point": b"[.5]",
    "hexadecimal": b"[0x10]",
    "a comma at the end": b"[1,]",
    "a comment": b"[1] // one",
    "single quotes": b"{'a':1}",
    "two texts": b"{}{}",
    "a text cut off": b'{"a":"b',
    "a backslash at the end": b'{"a":"\\',
    "too many closing brackets": b"[]]]]",
    "depth 33": b"[" * 33 + b"]" * 33,
    "depth 33 of both kinds": b'{"a":[' * 17 + b"]}" * 17,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_door_refuses_what_two_readers_may_read_differently(body: bytes) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_strict(body)
    assert refusal.value.code == "bad_input"
    assert refusal.value.category is Category.INVALID
    assert refusal.value.remedy
    assert len(refusal.value.message) < 300


WELCOME = {
    "an object": (b'{"a":[1,2.5,"x",null,true,{}]}', {"a": [1, 2.5, "x", None, True, {}]}),
    "blanks around": (b" \r\n{}\t", {}),
    "text alone": (b'"\xc3\xa4"', "ä"),
    "a pair of surrogates": (rb'"\ud83d\ude00"', "\U0001f600"),
    "the greatest integer": (b"9007199254740991", 2**53 - 1),
    "the least integer": (b"-9007199254740991", -(2**53) + 1),
    "minus nothing": (b"-0", 0),
    "a double that vanishes": (b"1e-400", 0.0),
    "depth 32": (b"[" * 32 + b"]" * 32, None),
    "brackets and quotes inside text": (rb'"[[[[\"[[[[\\"', '[[[["[[[[\\'),
    "a thousand brackets inside text": (b'"' + b"[" * 1000 + b'"', "[" * 1000),
    "a key with a pointer's own signs": (b'{"a/b~c":1}', {"a/b~c": 1}),
}


@pytest.mark.parametrize(("body", "meaning"), WELCOME.values(), ids=WELCOME.keys())
def test_the_door_opens_for_plain_json(body: bytes, meaning: object) -> None:
    value = parse_strict(body)
    if meaning is not None:
        assert value == meaning
    assert parse_strict(canonical(value)) == value


SLOW_TO_REFUSE: dict[str, Callable[[], bytes]] = {
    "a million opening brackets": lambda: b"[" * MEGA,
    "a million opening braces": lambda: b'{"a":' * (MEGA // 5),
    "a million quotes": lambda: b'"' * MEGA,
    "a million backslashes": lambda: b'"' + b"\\" * MEGA,
    "text that never ends": lambda: b'"' + b"a" * MEGA,
    "a hundred thousand keys, the last one twice": lambda: (
        b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b',"89999":1}'
    ),
    "a million closing brackets": lambda: b"[" + b"]" * MEGA,
    "a million digits": lambda: b"1" * MEGA,
    "a million digits of a fraction": lambda: b"[0." + b"1" * MEGA + b"]",
}


@pytest.mark.parametrize("make", SLOW_TO_REFUSE.values(), ids=SLOW_TO_REFUSE.keys())
def test_a_megabyte_of_malice_is_refused_within_a_second_of_work(make: Callable[[], bytes]) -> None:
    body = make()
    began = time.process_time()
    with pytest.raises(BadInput):
        parse_strict(body)
    assert time.process_time() - began < 1.0


def test_a_text_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(Refusal) as refusal:
        parse_strict(b"[" * 1001, limit=1000)
    assert refusal.value.code == "too_large"
    assert refusal.value.category is Category.TOO_LARGE
    assert refusal.value.facts == {"size": 1001, "limit": 1000}


def test_a_text_of_exactly_the_limit_is_read() -> None:
    assert parse_strict(b'"' + b"a" * 998 + b'"', limit=1000) == "a" * 998


def test_a_refusal_points_to_the_place() -> None:
    with pytest.raises(BadInput) as refusal:
        parse_strict(rb'{"steps":[{"a/b~c":"\u0000"}]}')
    assert refusal.value.facts["pointer"] == "/steps/0/a~1b~0c"


@given(st.binary(max_size=200))
def test_any_bytes_are_either_json_or_refused(body: bytes) -> None:
    try:
        value = parse_strict(body)
    except Refusal as refusal:
        assert refusal.code == "bad_input"
    else:
        assert parse_strict(canonical(value)) == value
