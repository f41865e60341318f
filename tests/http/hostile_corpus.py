"""What an attacker sends: bodies, ids, header values and query values, as data."""

# ruff: noqa: RUF001 - look-alike characters are meant

import json

_DEEP = 100_000
_FIELDS = ("app", "workflow", "reason", "name", "scope", "key")

BODIES: dict[str, bytes] = {
    "one brace": b"{", "prose": b"hello", "open string": b'"abc', "open list": b"[1,", "comma": b"[1,]",
    "colon": b'{"a"}', "two values": b"{} {}", "comment": b"{}//x", "single quotes": b"{'a': 1}", "bom": b"\xef\xbb\xbf{}",
    "utf-16": '{"app":"x"}'.encode("utf-16"), "utf-32": '{"app":"x"}'.encode("utf-32"), "latin-1": b'{"app":"\xe9"}',
    "overlong": b'{"app":"\xc0\xaf"}', "cut utf-8": b'{"app":"\xe2\x82"}', "raw surrogate": b'{"app":"\xed\xa0\x80"}',
    "lone high": b'{"app":"\\ud800"}', "lone low": b'{"app":"\\udc00"}', "swapped": b'{"app":"\\udc00\\ud800"}',
    "nul": b'{"app":"\\u0000"}', "raw nul": b'{"app":"\x00"}', "nul key": b'{"\\u0000":1}', "raw tab": b'{"app":"\t"}',
    "bad escape": b'{"app":"\\x41"}', "twice": b'{"app":"a","app":"b"}', "twice escaped": b'{"app":"a","\\u0061pp":"b"}',
    "twice within": b'{"input":{"a":1,"a":2}}', "nan": b'{"app":NaN}', "infinity": b'{"app":Infinity}',
    "minus infinity": b'{"app":-Infinity}', "2^53": b'{"deadline_seconds":9007199254740992}',
    "2^63": b'{"deadline_seconds":9223372036854775808}', "-2^63": b'{"deadline_seconds":-9223372036854775809}',
    "2^64": b'{"deadline_seconds":18446744073709551616}', "long integer": b'{"a":' + b"9" * 100_000 + b"}",
    "long float": b'{"a":0.' + b"9" * 100_000 + b"}", "1e999": b'{"a":1e999}', "long exponent": b'{"a":1e' + b"9" * 9_999 + b"}",
    "leading zero": b'{"a":01}', "plus": b'{"a":+1}', "hex": b'{"a":0x10}', "dot": b'{"a":.5}', "true": b"true",
    "null": b"null", "number": b"1", "text": b'"x"', "list": b"[]", "list of objects": b"[{}]",
    "lists": b"[" * _DEEP, "objects": b'{"a":' * _DEEP, "closed lists": b"[" * _DEEP + b"]" * _DEEP, "brackets": b"]" * _DEEP,
    "33 deep": b'{"input":' + b"[" * 33 + b"]" * 33 + b"}", "quotes": b'"' * _DEEP, "backslashes": b'"' + b"\\" * _DEEP,
    "many keys": json.dumps({f"k{n}": n for n in range(20_000)}).encode(), "long key": b'{"' + b"k" * 500_000 + b'":1}',
    "long text": b'{"app":"' + b"a" * 900_000 + b'"}', "too large": b'{"app":"' + b"a" * 1_100_000 + b'"}',
    "ten times": b"[" + b"1," * 5_000_000 + b"1]", "spaces": b" " * 500_000, "zeros": b"\0" * 1000, "empty key": b'{"":1}',
    "key beyond ascii": '{"äpp":1}'.encode(), "prototype": b'{"__proto__":{"a":1},"constructor":1}',
    **{f"number for {name}": json.dumps({name: 1}).encode() for name in _FIELDS},
    **{f"list for {name}": json.dumps({name: [[]]}).encode() for name in _FIELDS},
    **{f"null for {name}": json.dumps({name: None}).encode() for name in _FIELDS},
}  # fmt: skip

IDS: tuple[str, ...] = (
    "*", ">", "run_*", "run_>", "a.b", "a b", "%20", "%00", "run_%00", "..", "../", "%2e%2e", "%2e%2e%2f", "..%2f..%2fetc",
    "%252e%252e", "run_" + "0" * 26 + "%0d%0aX:1", "%0a", "%ff", "%c0%af", "%ed%a0%80", "%f0%9f%98%80", "'", "' OR 1=1--",
    "%27%3b DROP TABLE runs", '"', "\\", "%5c", "<script>", "{id}", "$ne", "[]", "0", "-1", "1e9", str(2**63), str(2**64), "NaN",
    "null", "true", "undefined", "run_", "run_" + "0" * 25, "run_" + "0" * 27, "RUN_" + "0" * 26, "run_" + "Z" * 26,
    "run_" + "０" * 26, "ｒun", "\u202e", "é", "é", "a" * 300, "a" * 8_000, ":cancel", "x:cancel:cancel", "%3acancel", ";a=b", "#",
    "?x", "a,b", "a%2fb", "~", "con", ".git",
)  # fmt: skip

HEADERS: tuple[tuple[str, str], ...] = (
    ("Idempotency-Key", ""), ("Idempotency-Key", '"'), ("Idempotency-Key", "k" * 256), ("Idempotency-Key", '"k\\"'),
    ("Idempotency-Key", "k\té"), ("Content-Type", "text/plain"), ("Content-Type", "application/json; charset=utf-16"),
    ("Content-Type", "multipart/form-data"), ("Content-Type", "é"), ("Content-Length", "-1"), ("Content-Length", "1e9"),
    ("Content-Length", "99999999999999999999999"), ("Last-Event-ID", "-1"), ("Last-Event-ID", "1.5"), ("Last-Event-ID", "٣"),
    ("Last-Event-ID", str(2**63)), ("Last-Event-ID", "9" * 5_000), ("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"),
    ("traceparent", "ff-x"), ("traceparent", "0" * 10_000), ("Accept", "text/event-stream;q=nan"), ("Accept", "," * 5_000),
    ("Authorization", "Bearer"), ("Authorization", "Bearer  "), ("Authorization", "Basic eDp5"), ("Authorization", "Bearer é"),
    ("Authorization", "Bearer " + "x" * 10_000), ("X-HTTP-Method-Override", "DELETE"), ("Host", "evil.example"),
    ("X-Forwarded-Host", "evil.example"), ("Transfer-Encoding", "chunked, identity"), ("Range", "bytes=0-0,-1"),
)  # fmt: skip

QUERY: tuple[str, ...] = (
    "-1", "0", "1.0", "1e3", "NaN", str(2**31), str(2**63), "9" * 5_000, "٣", " 1", "+1", "0x1", "true", "", "*", ">", "../",
    "%00", "\0", "\ud7ff", "é", "' OR 1=1--", "a" * 5_000, "run_*", "[]", "{}", "run_" + "0" * 26, "x.1", "x.0", "é.1",
    "x." + "9" * 40,
)  # fmt: skip

COUNT = len(BODIES) + len(IDS) + len(HEADERS) + len(QUERY)
