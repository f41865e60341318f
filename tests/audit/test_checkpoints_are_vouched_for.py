"""A checkpoint opens only if a key that the reader trusts signed exactly these bytes."""

import base64
import string

import pytest

from bailiwick.audit import (
    EMPTY_ROOT,
    Checkpoint,
    NoteMalformed,
    NoteUnverified,
    VerifierKeyMalformed,
    open_note,
    open_text,
    parse_verifier_key,
    sign_note,
    sign_text,
    verifier_key,
)

ROOT = bytes(range(32))
HEAD = Checkpoint("audit.test/acme", 7, ROOT)

# The example of the format's reference implementation.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
PETERS_LINE = "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"


def test_a_note_of_the_reference_implementation_opens() -> None:
    key = parse_verifier_key(PETER)
    assert verifier_key(key.name, key.public) == PETER
    assert open_text(f"{PETERS_TEXT}\n{PETERS_LINE}", [key]) == PETERS_TEXT


def test_a_signed_checkpoint_has_the_published_form(signer) -> None:
    body, gap, line = signer.note(HEAD).partition("\n\n")
    assert (body, gap) == (f"audit.test/acme\n7\n{base64.b64encode(ROOT).decode()}", "\n\n")
    assert line.startswith("\u2014 audit.test ")
    assert line.endswith("\n")


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        Checkpoint("o", 0, EMPTY_ROOT),
        Checkpoint("größe x", 10**12, ROOT),
        Checkpoint("o", 2**63 - 1, ROOT),
    ],
)
def test_a_signed_checkpoint_reads_back(signer, head: Checkpoint) -> None:
    assert open_note(signer.note(head), [signer.vkey]) == head


def test_a_size_beyond_what_anybody_counts_is_none(signer) -> None:
    with pytest.raises(NoteMalformed, match="size"):
        signer.note(Checkpoint("o", 2**63, ROOT))
    key = parse_verifier_key(signer.vkey)
    note = sign_text(f"o\n{2**63}\n{base64.b64encode(ROOT).decode()}\n", key, signer.sign)
    with pytest.raises(NoteMalformed, match="not a size"):
        open_note(note, [signer.vkey])


def test_a_root_has_one_spelling(signer) -> None:
    spelled = base64.b64encode(ROOT).decode()
    other = spelled[:-2] + chr(ord(spelled[-2]) + 1) + "="
    assert base64.b64decode(other) == ROOT
    key = parse_verifier_key(signer.vkey)
    with pytest.raises(NoteMalformed, match="canonical"):
        open_note(sign_text(f"o\n7\n{other}\n", key, signer.sign), [signer.vkey])


def test_no_changed_byte_of_a_note_goes_unseen(signer) -> None:
    note = signer.note(HEAD).encode()
    for at in range(len(note)):
        for value in {note[at] ^ 1, note[at] ^ 0x20, 0x0A} - {note[at]}:
            changed = note[:at] + bytes([value]) + note[at + 1 :]
            with pytest.raises((NoteMalformed, NoteUnverified)):
                open_note(changed.decode(errors="replace"), [signer.vkey])


def test_a_signature_has_one_spelling_though_base64_has_four(signer) -> None:
    note = signer.note(HEAD)
    assert note.endswith("=\n")
    alphabet = string.ascii_letters + string.digits + "+/"
    for char in set(alphabet) - {note[-3]}:
        with pytest.raises((NoteMalformed, NoteUnverified)):
            open_note(f"{note[:-3]}{char}=\n", [signer.vkey])


def test_signatures_of_unknown_keys_are_ignored(signer, stranger) -> None:
    theirs = stranger.note(HEAD).rpartition("\n\n")[2]
    both = signer.note(HEAD) + theirs
    assert open_note(both, [signer.vkey]) == open_note(both, [stranger.vkey]) == HEAD


def test_a_note_by_unknown_keys_alone_is_refused_and_names_them(signer, stranger) -> None:
    with pytest.raises(NoteUnverified) as refusal:
        open_note(stranger.note(HEAD), [signer.vkey])
    assert refusal.value.facts["signers"] == ["audit.stranger"]
    with pytest.raises(NoteUnverified):
        open_note(signer.note(HEAD), [])


def test_a_known_keys_false_signature_refuses_the_note_though_another_is_true(signer, stranger) -> None:
    elsewhere = Checkpoint("audit.test/acme", 8, ROOT)
    both = signer.note(HEAD) + stranger.note(elsewhere).rpartition("\n\n")[2]
    with pytest.raises(NoteUnverified, match=r"audit\.stranger"):
        open_note(both, [signer.vkey, stranger.vkey])


def test_the_same_name_with_another_key_is_another_signer(signer, stranger) -> None:
    impostor = sign_note(HEAD, signer.name, stranger.sign, stranger.public)
    with pytest.raises(NoteUnverified):
        open_note(impostor, [signer.vkey])


def test_a_signature_by_another_than_the_named_key_is_never_published(signer, stranger) -> None:
    with pytest.raises(NoteUnverified):
        sign_note(HEAD, signer.name, stranger.sign, signer.public)


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("two\nlines", 1, ROOT),
        Checkpoint("o", -1, ROOT),
        Checkpoint("o", 1, ROOT[:-1]),
    ],
)
def test_a_checkpoint_that_could_not_be_read_back_is_not_signed(signer, head: Checkpoint) -> None:
    with pytest.raises(NoteMalformed):
        signer.note(head)


@pytest.mark.parametrize(
    "body",
    [
        "origin\n7\n",
        "origin\n07\n{root}\n",
        "origin\n-7\n{root}\n",
        "origin\n7 \n{root}\n",
        "origin\n\u0667\n{root}\n",
        "origin\n7\n{root}A\n",
        "origin\n7\nAAAA\n",
        "origin\n\n7\n{root}\n",
        "\n7\n{root}\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(signer, body: str) -> None:
    text = body.format(root=base64.b64encode(ROOT).decode())
    note = sign_text(text, parse_verifier_key(signer.vkey), signer.sign)
    with pytest.raises(NoteMalformed):
        open_note(note, [signer.vkey])


def test_extension_lines_are_read_over(signer) -> None:
    text = f"audit.test/acme\n7\n{base64.b64encode(ROOT).decode()}\nextension\n"
    note = sign_text(text, parse_verifier_key(signer.vkey), signer.sign)
    assert open_note(note, [signer.vkey]) == HEAD


@pytest.mark.parametrize(
    "note", ["", "\n\n", "text\n", "text\n\nno dash\n", "a\tb\n\n\u2014 x AAAA\n", "x" * 70_000]
)
def test_what_is_no_signed_note_is_refused(signer, note: str) -> None:
    with pytest.raises(NoteMalformed):
        open_note(note, [signer.vkey])


def test_a_note_with_a_flood_of_signatures_is_refused(signer) -> None:
    note = signer.note(HEAD)
    with pytest.raises(NoteMalformed):
        open_note(note + note.rpartition("\n\n")[2] * 100, [signer.vkey])


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "thin\u2009space"])
def test_a_key_name_that_would_confuse_the_line_is_refused(signer, name: str) -> None:
    with pytest.raises(VerifierKeyMalformed):
        verifier_key(name, signer.public)


def test_a_verifier_key_has_one_spelling(signer) -> None:
    text = signer.vkey
    for at in range(len(text)):
        for value in {ord(text[at]) ^ 1, ord(text[at]) ^ 0x20} - {ord(text[at])}:
            with pytest.raises(VerifierKeyMalformed):
                parse_verifier_key(text[:at] + chr(value) + text[at + 1 :])
    for other in (text + "\n", " " + text, text[:-1], text.upper(), ""):
        with pytest.raises(VerifierKeyMalformed):
            parse_verifier_key(other)
