"""A canary credential, used in every way a tool might, appears in nothing that leaves the host."""

import base64
import gzip
import html
import json
import pickle
import quopri
import re
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools_kit import Hand

from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, FrameSink, Stop, ToolCall, ToolResult
from bailiwick.tools import CredentialRefused, Credentials, Redactor, Secret, Tool, function_tool
from bailiwick.tools.credentials import MASK, RedactedFrames

Make = Callable[..., Hand]
CANARY = 'cAnary/5f+=?&"\u00e9\\ 7d\n8e'
LISTED = ("env:TOKEN",)


def forms(value: str) -> list[str]:
    raw = value.encode()
    encoded = [base64.b64encode(raw[:0] + b"u" * pad + b":" + raw).decode() for pad in range(6)]
    return [
        value, quote(value), quote(value, safe=""), quote_plus(value), re.sub("%..", lambda hexed: hexed[0].lower(), quote(value, safe="")), raw.hex(), raw.hex().upper(),
        json.dumps(value), json.dumps(value, ensure_ascii=False), *encoded, base64.urlsafe_b64encode(raw).decode(), f"https://u:{quote(value)}@h/",
    ]  # fmt: skip


def disguises(value: str) -> dict[str, str]:
    """Forms that no search for a fixed text finds."""
    raw = value.encode()
    twice = json.dumps(json.dumps(value))
    packed = {
        f"{name} as {shown}": show(pack(b"before " + raw + b" after"))
        for name, pack in (("gzip", gzip.compress), ("zlib", zlib.compress))
        for shown, show in (
            ("base64", lambda body: base64.b64encode(body).decode()),
            ("lines of base64", lambda body: base64.encodebytes(body).decode()),
            ("hex", bytes.hex),
            ("bytes", lambda body: body.decode("latin-1")),
        )
    }
    return {
        "utf-16-le": value.encode("utf-16-le").decode("latin-1"),
        "utf-16-be": value.encode("utf-16-be").decode("latin-1"),
        "utf-16 with its mark": value.encode("utf-16").decode("latin-1"),
        "utf-32": value.encode("utf-32-le").decode("latin-1"),
        "utf-16 as hex": value.encode("utf-16-le").hex(),
        "utf-16 as base64": base64.b64encode(b"x" + value.encode("utf-16-le")).decode(),
        "utf-8 read as latin-1": value.encode().decode("latin-1"),
        "escaped by JSON twice": twice,
        "escaped by JSON thrice": json.dumps(twice),
        "each as u": "".join(f"\\u{ord(each):04X}" for each in value),
        "each as x": "".join(f"\\x{octet:02x}" for octet in raw),
        "each as octal": "".join(f"\\{octet:03o}" for octet in raw),
        "each in percent": "".join(f"%{octet:02X}" for octet in raw),
        "percent of percent": quote(quote(value, safe=""), safe=""),
        "HTML by number": "".join(f"&#{ord(each)};" for each in value),
        "HTML by hex": "".join(f"&#x{ord(each):x};" for each in value),
        "HTML": html.escape(value),
        "mail": quopri.encodestring(raw, quotetabs=True).decode(),
        "one letter escaped": f"\\u{ord(value[0]):04x}{value[1:]}",
        "every other letter": "".join(f"%{ord(each):02x}" if n % 2 and each.isascii() else each for n, each in enumerate(value)),
        "hex in pairs": raw.hex(" "),
        "hex by colons": raw.hex(":"),
        "base64 in lines": base64.encodebytes(raw * 3).decode(),
        "base64 in JSON lines": json.dumps(base64.encodebytes(raw * 3).decode()),
        "gzip of gzip": base64.b64encode(gzip.compress(gzip.compress(raw))).decode(),
        **packed,
    }  # fmt: skip


@pytest.mark.parametrize("name", disguises(CANARY))
@pytest.mark.parametrize("value", [CANARY, "sk-live-0123456789abcdef"])
def test_each_disguise_is_replaced(value: str, name: str) -> None:
    redactor = Redactor()
    redactor.issue(value)
    form = disguises(value)[name]
    shown = redactor.text(form if "bytes" in name else f"before {form} after")
    if form != value:
        assert MASK in shown
    pieces = {form[at : at + 24] for at in range(0, len(form) - 23, 4)}
    assert sum(piece in shown for piece in pieces) <= len(pieces) // 2, "what is left holds no whole value"


def test_what_is_packed_and_harmless_stays(redactor: Redactor) -> None:
    for name, form in disguises("an innocent text that nobody issued").items():
        assert redactor.text(form) == form, name


def test_a_packed_bomb_is_looked_at_no_further_than_a_bound(redactor: Redactor) -> None:
    bomb = base64.b64encode(gzip.compress(b"x" * 64 * 1_048_576)).decode()
    assert redactor.text(bomb) == bomb


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_an_escaped_value_that_is_cut_by_frames_is_still_replaced(cut: int) -> None:
    redactor = Redactor()
    redactor.issue("an-issued-token")
    form = "".join(f"\\u{ord(each):04x}" for each in "an-issued-token")
    seen: list[dict[str, Any]] = []
    frames = RedactedFrames(seen.append, redactor)
    text = f"here: {form} and on"
    for at in range(0, len(text), cut):
        frames({"type": "output", "text": text[at : at + cut]})
    frames.flush()
    assert "".join(frame["text"] for frame in seen) == f"here: {MASK} and on"


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    assert Credentials({"TOKEN": CANARY}, redactor).resolve("env:TOKEN", allowed=LISTED).reveal() == CANARY
    return redactor


def traces(text: str) -> list[str]:
    """Name the forms of the canary that a text holds; base64 by decoding what is there."""
    plain = [CANARY, quote(CANARY), quote(CANARY, safe=""), quote_plus(CANARY), CANARY.encode().hex()]
    plain += [json.dumps(CANARY)[1:-1], json.dumps(CANARY, ensure_ascii=False)[1:-1]]
    found = [form for form in plain if form.lower() in text.lower()]
    for word in text.split():
        letters = re.sub("[^A-Za-z0-9+/]", "", word.replace("-", "+").replace("_", "/"))
        for offset in range(4):
            piece = letters[offset:] + "AAA"
            if CANARY.encode() in base64.b64decode(piece[: len(piece) // 4 * 4]):
                found.append(word)
    return found


@pytest.mark.parametrize("form", forms(CANARY))
def test_each_form_is_replaced(redactor: Redactor, form: str) -> None:
    assert traces(f"before {form} after")
    assert MASK in redactor.text(f"before {form} after")
    assert not traces(redactor.text(f"before {form} after"))
    assert not traces(json.dumps(redactor.json({"a": [form, {form: 1}], "n": 1}), ensure_ascii=False))


def test_nothing_else_is_replaced(redactor: Redactor) -> None:
    value = {"a": ["cAnary", 1, None, True, 1.5]}
    assert redactor.json(value) == value


@given(st.lists(st.integers(1, 40), max_size=6), st.sampled_from(forms("an-issued-token")))
def test_a_value_that_is_cut_by_frames_is_still_replaced(cuts: list[int], form: str) -> None:
    redactor = Redactor()
    redactor.issue("an-issued-token")
    text = f"x{form}y an-issued z{form}"
    seen: list[dict[str, Any]] = []
    frames = RedactedFrames(seen.append, redactor)
    for cut in cuts:
        frames({"type": "output", "text": text[:cut]})
        text = text[cut:]
    frames({"type": "output", "text": text})
    frames({"type": "done"})
    whole = "".join(frame.get("text", "") for frame in seen)
    assert whole == redactor.text(f"x{form}y an-issued z{form}")
    assert "an-issued-token" not in whole
    assert seen[-1] == {"type": "done"}


async def test_the_canary_is_in_no_output_error_or_frame(host_of: Make) -> None:
    redactor = Redactor()
    vault = Credentials({"TOKEN": CANARY}, redactor)

    async def leaky(call: ToolCall, sink: FrameSink, _stop: Stop) -> ToolResult:
        value = vault.resolve("env:TOKEN", allowed=LISTED).reveal()
        for form in forms(value):
            sink({"type": "output", "text": form[:9]})
            sink({"type": "output", "text": form[9:]})
            sink({"type": "note", "deep": [form]})
        match call.arguments.get("how"):
            case "raise":
                raise ValueError(" ".join(forms(value)))
            case "fail":
                raise CallFailed(ErrorCategory.TRANSIENT, value, partial={"got": forms(value)})
            case "misfit":
                return ToolResult({"text": {"nested": value}})
        return ToolResult({"text": " ".join(forms(value))})

    def plain(token: Secret) -> str:
        raise RuntimeError(f"refused {token.reveal()}")

    text = {"type": "object", "properties": {"text": {"type": "string"}}}
    base = function_tool(plain, name="plain", credentials={"token": "env:TOKEN"}, vault=vault)
    contract = type(base.contract)(
        name="leaky",
        version="1.0.0",
        kind=base.contract.kind,
        effect=base.contract.effect,
        input={"type": "object"},
        output=text,
    )
    hand = host_of(base, Tool(contract, leaky), redactor=redactor)
    told = [json.dumps(await hand("leaky"), ensure_ascii=False)]
    for name, how in (("leaky", "raise"), ("leaky", "fail"), ("leaky", "misfit"), ("plain", "")):
        with pytest.raises(CallFailed) as failed:
            await hand(name, **({"how": how} if how else {}))
        told += [
            failed.value.message,
            json.dumps(failed.value.partial),
            "".join(traceback.format_exception(failed.value)),
        ]
        assert failed.value.__cause__ is None
        assert failed.value.__context__ is None
    told += [json.dumps(frame, ensure_ascii=False) for frame in hand.frames]
    assert MASK in "".join(told)
    assert [traces(text) for text in told if traces(text)] == []


def test_a_secret_does_not_show_itself() -> None:
    secret = Credentials({"TOKEN": CANARY}, Redactor()).resolve("env:TOKEN", allowed=LISTED)
    assert "Anary" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    "reference",
    [
        "env:OTHER",
        "env:",
        "TOKEN",
        "file:relative",
        "file:/etc/../x\0",
        "env:TOKEN ",
        "https://x",
        "env:SHORT",
        "env:ABSENT",
    ],
)
def test_only_a_listed_reference_with_a_usable_value_is_resolved(reference: str) -> None:
    environment = {"TOKEN": CANARY, "OTHER": CANARY, "SHORT": "1234567"}
    with pytest.raises(CredentialRefused) as refusal:
        Credentials(environment, Redactor()).resolve(
            reference, allowed=("env:TOKEN", "env:SHORT", "env:ABSENT")
        )
    assert "Anary" not in str(refusal.value.facts)
    assert "1234567" not in str(refusal.value.facts)


def test_a_file_is_read_at_the_moment_of_use(tmp_path: Path) -> None:
    reference = f"file:{tmp_path}/token"
    vault = Credentials({}, Redactor())
    with pytest.raises(CredentialRefused, match="not set"):
        vault.resolve(reference, allowed=(reference,))
    (tmp_path / "token").write_text("rotated-value-1\n")
    assert vault.resolve(reference, allowed=(reference,)).reveal() == "rotated-value-1"
    (tmp_path / "token").write_text("rotated-value-2\n")
    assert vault.resolve(reference, allowed=(reference,)).reveal() == "rotated-value-2"


def test_a_line_of_a_long_value_is_known_too() -> None:
    redactor = Redactor()
    redactor.issue("-----BEGIN KEY-----\nAAAABBBBCCCCDDDDEEEE\n-----END KEY-----")
    assert "AAAABBBB" not in redactor.text("line 2 is AAAABBBBCCCCDDDDEEEE.")
