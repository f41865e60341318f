"""Verify an exported audit log, offline and without its maker's code: python3 verify.py [FOLDER [TRUSTED_KEY]].

Needs Python 3.9 or newer and the openssl program (1.1.1 or newer). Prints one line a fault, with the event
as stream.seq where its name can be told, and exits with 0 only if all is as the key's holder signed it.
Without TRUSTED_KEY, the verifier key as you received it by another way, the key in the folder is believed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

ED25519_DER = bytes.fromhex("302a300506032b6570032100")


def sha(*parts: bytes) -> bytes:
    """Hash the parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text: str) -> bytes:
    """Decode base64, of which only the canonical spelling counts."""
    body = base64.b64decode(text, validate=True)
    if base64.b64encode(body).decode() != text:
        raise ValueError("base64 is not in its canonical form")
    return body


def open_note(note: str, vkey: str) -> list[str]:
    """Check the key's signature below the note; give back its lines."""
    name, key_id, encoded = vkey.split("+", 2)
    public = unbase64(encoded)
    if len(public) != 33 or public[:1] != b"\1" or sha(name.encode(), b"\n", public)[:4].hex() != key_id:
        raise ValueError("the verifier key is malformed")
    text, _, signatures = note.rpartition("\n\n")
    lines = re.findall("^\u2014 (\\S+) (\\S+)$", signatures[:-1], re.MULTILINE)
    ours = [unbase64(sig)[4:] for who, sig in lines if who == name and unbase64(sig)[:4].hex() == key_id]
    if not signatures.endswith("\n") or len(lines) != signatures.count("\n") or not ours:
        raise ValueError("the checkpoint is malformed, or not signed by the key")
    with tempfile.TemporaryDirectory() as folder:
        key, body, signature = (pathlib.Path(folder, part) for part in ("key", "body", "signature"))
        key.write_bytes(ED25519_DER + public[1:])
        body.write_bytes((text + "\n").encode())
        for one in ours:
            signature.write_bytes(one)
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", str(key)]
            command += ["-rawin", "-in", str(body), "-sigfile", str(signature)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                raise ValueError("the signature does not fit the checkpoint")
    return text.split("\n")


def linked(trusted: str, rotations: str) -> list[str]:
    """List the keys that statements, signed by both, link to the trusted one."""
    keys = [trusted]
    pairs = []
    for note in re.findall("(?:[^\n\u2014][^\n]*\n)+\n(?:\u2014 [^\n]*\n)+", rotations):
        title, old, new = note.split("\n")[:3]
        if title == "bailiwick key rotation v1" and open_note(note, old) == open_note(note, new):
            pairs.append((old, new))
    for one, other in [pair for _ in pairs for old, new in pairs for pair in ((old, new), (new, old))]:
        if one in keys and other not in keys:
            keys.append(other)
    return keys


def merkle_root(level: list[bytes]) -> bytes:
    """Hash leaves to the root of RFC 6962."""
    while len(level) > 1:
        pairs = [sha(b"\1", level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) & ~1 :]
    return level[0] if level else sha()


def check_log(files: dict[str, bytes], leaves: list[bytes], trusted: str) -> None:
    """Hold the leaves against the signed checkpoint."""
    vkey = files["pubkey"].decode()
    keys = linked(trusted or vkey[:-1], files.get("rotations", b"").decode())
    if not vkey.endswith("\n") or vkey[:-1] not in keys:
        raise ValueError("the export's key is malformed, or not the trusted one")
    size, root = open_note(files["checkpoint"].decode(), vkey[:-1])[1:3]
    made = merkle_root([bytes.fromhex(leaf.decode()) for leaf in leaves])
    if str(len(leaves)) != size or made != unbase64(root):
        raise ValueError("the leaves do not make the signed tree")


def read_entry(line: bytes) -> tuple[int, bytes, str, Any]:
    """Read a line as index, header, salt and payload, if it is spelled as an export spells it."""
    said = json.loads(line.decode())
    spelled = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    kinds = [type(value) for _, value in sorted(said.items())] if isinstance(said, dict) else []
    if spelled.encode() != line or kinds not in ([str, int, str, str], [str, int, type(None), str]):
        raise ValueError("not an entry in canonical form")
    if not re.fullmatch("([0-9a-f]{2})*", said["salt"]):
        raise ValueError("the salt is not hexadecimal")
    return said["index"], said["header"].encode(), said["salt"], said["payload"]


def read_lines(body: bytes, where: dict[str, int]) -> tuple[dict[int, Any], dict[int, bytes]]:
    """Sort lines into entries by index, and unreadable, moved or repeated ones by their line's number."""
    entries: dict[int, Any] = {}
    broken, last = {}, -1
    *lines, rest = body.split(b"\n")
    for number, line in enumerate([*lines, rest] if rest else lines):
        try:
            index, header, salt, payload = read_entry(line)
            leaf = sha(b"\0", header).hex()
            if number == len(lines) or where.get(leaf, index) != index or index <= last:
                raise ValueError("out of place")  # noqa: TRY301
            entries[index], last = (header, leaf, salt, payload), index
        except (ValueError, KeyError):
            broken[number] = line.replace(b"\\", b"")
    return entries, broken


def claimed(index: int, broken: dict[int, bytes]) -> tuple[str, int, str]:
    """Read stream, seq and the predecessor's leaf from a damaged header, or the damaged lines around it."""
    raw = b"\n".join(broken.get(number, b"") for number in (index - 1, index, index + 1))
    found, parts = re.findall(rb'"index":(\d+)', raw), re.split(rb'"index":\d+', raw)
    part = parts[found.index(b"%d" % index)] if b"%d" % index in found else parts[0]
    streams, seqs = re.findall(rb'"stream":"([^"]*)', part), re.findall(rb'"seq":(\d+)', part)
    prevs = re.findall(rb'"prev":"([0-9a-f]*)",', part)
    prev = prevs[-1].decode() if prevs else "?"
    stream = streams[-1].decode(errors="replace") if streams else ""
    return stream, 1 if not prev else int(seqs[-1]) if seqs else 0, prev


def payload_fits(commitment: str | None, salt: str, payload: str | None) -> bool:
    """Hold a payload against the commitment in its header; an erased one fits any."""
    if payload is None or commitment is None:
        return payload is None and not salt
    start = b"bailiwick.payload.v1\0" + bytes([len(salt) // 2 & 255])
    return len(salt) >= 32 and sha(start, bytes.fromhex(salt), payload.encode()).hex() == commitment


def verify(files: dict[str, bytes], trusted: str = "") -> Iterator[tuple[int, str, str]]:
    """Yield (index, event, fault) for all that is wrong; index -1 for what concerns no single event."""
    leaves = [files["leaves"][at : at + 65] for at in range(0, len(files["leaves"]), 65)]
    try:
        check_log(files, leaves, trusted)
    except ValueError as error:
        yield -1, "", f"the log is not as signed: {error}"
    where = {leaf[:64].decode(errors="replace"): index for index, leaf in enumerate(leaves)}
    entries, broken = read_lines(files["entries.jsonl"], where)
    genuine = {at: json.loads(header) for at, (header, leaf, *_) in entries.items() if leaf in where}
    after = {said["prev"]: (said["stream"], said["seq"] - 1) for said in genuine.values() if said["prev"]}
    taken = {(said["stream"], said["seq"]) for said in genuine.values()}
    before = {entries[at][1]: (said["stream"], said["seq"] + 1) for at, said in genuine.items()}
    heads: dict[str, tuple[int, list[str]]] = {}
    for index, record in enumerate(leaves):
        leaf = record[:64].decode(errors="replace")
        header, own, salt, payload = entries.get(index, (b"", leaf, "", None))
        if index in genuine:
            stream, seq = genuine[index]["stream"], genuine[index]["seq"]
            last, cited = heads.get(stream, (0, [""]))
            if seq != last + 1 or genuine[index]["prev"] not in cited:
                yield index, f"{stream}.{seq}", "the event does not follow its predecessor in its stream"
            if not payload_fits(genuine[index].get("payload"), salt, payload):
                yield index, f"{stream}.{seq}", "the payload is not the one that its header commits to"
        else:
            stream, seq, prev = claimed(index, {index: header} if header else broken)
            guesses = [guess for guess in (before.get(prev), (stream, seq)) if guess and guess not in taken]
            stream, seq = after.get(leaf) or after.get(own) or (guesses or [("?", 0)])[0]
            yield (
                index,
                f"{stream}.{seq}",
                "the header or leaf is changed, or the entry broken, moved or missing",
            )
        if not re.fullmatch(b"[0-9a-f]{64}\n", record):
            yield index, f"{stream}.{seq}", "the leaf is not spelled as one"
        heads[stream] = (seq, [leaf, own])
    if len(entries) + len(broken) > len(leaves):
        yield -1, "", "there are more lines than leaves"


def unexplained(files: dict[str, bytes]) -> Iterator[tuple[int, str, str]]:
    """Yield payloads that are gone though no event says that somebody erased them."""
    entries, _ = read_lines(files["entries.jsonl"], {})
    told = {at: json.loads(entry[0]) for at, entry in entries.items()}
    acts = {said.get("erased") for said in told.values() if said.get("kind") == "payload.erased"}
    for at, said in told.items():
        event = f"{said['stream']}.{said['seq']}"
        if "payload" in said and entries[at][3] is None and event not in acts:
            yield at, event, "the payload is gone, and no event says that somebody erased it"


def main(arguments: list[str]) -> int:
    """Verify a folder and say what was found."""
    folder = pathlib.Path(arguments[0] if arguments else ".")
    names = ("checkpoint", "pubkey", "leaves", "entries.jsonl")
    files = {name: (folder / name).read_bytes() for name in names}
    if (folder / "rotations").exists():
        files["rotations"] = (folder / "rotations").read_bytes()
    faults = list(verify(files, *arguments[1:2])) or list(unexplained(files))
    for index, event, fault in faults:
        place = f"event {event} (index {index})" if index >= 0 else "log"
        sys.stdout.write(f"FAULT {place}: {fault}\n")
    sys.stdout.write(f"{'FAILED' if faults else 'OK'}: {len(files['leaves']) // 65} events\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
