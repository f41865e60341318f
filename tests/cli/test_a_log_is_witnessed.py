"""The log's heads leave its operator's reach: kept in a file, cosigned by a server, and never for a rewritten log."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn
from cli_kit import Call, Place

from bailiwick.audit import notes_in
from bailiwick.wiring.witnesses import known_logs, witness_app, witness_at


@pytest.fixture
def vkey(place: Place) -> str:
    return place.served.system.platform.sequencing.signer.vkey


@pytest.fixture
def witness(place: Place, vkey: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A witness of another party: its address and its verifier key."""
    platform = place.served.system.platform
    origin = platform.sequencing.origin(f"tenant:{place.served.system.settings.tenant}")
    app, own = witness_app(tmp_path, "witness.test", known_logs([f"{origin}={vkey}"]))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()  # the socket listens already, so whoever comes early waits in its queue
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", own
    server.should_exit = True
    thread.join()
    listener.close()


def work(call: Call) -> None:
    assert (
        call("runs", "submit", "--app", "post", "--workflow", "greet", "--input", '{"text": "x"}').code == 0
    )


def exported(call: Call, folder: Path) -> str:
    assert call("audit", "export", str(folder)).code == 0
    return str(folder)


def test_heads_are_kept_in_a_file_and_say_what_is_covered(call: Call, vkey: str, tmp_path: Path) -> None:
    notes = tmp_path / "kept"
    for count in (1, 2, 3):
        work(call)
        told = call("audit", "witness", str(notes), "--vkey", vkey, "-o", "json")
        assert told.code == 0, told.err
        assert len(notes_in(notes.read_text())) == count
    folder = exported(call, tmp_path / "export")
    shown = call("audit", "verify", folder, "--vkey", vkey, "--witnessed", str(notes), "-o", "json")
    assert (shown.code, shown.json()["witnessed"]) == (0, int(told.json()["size"]))
    work(call)
    folder = exported(call, tmp_path / "later")
    shown = call("audit", "verify", folder, "--witnessed", str(notes), "-o", "json")
    assert shown.json()["witnessed"] == int(told.json()["size"]) < shown.json()["size"]
    assert "not covered by a witness" in call("audit", "verify", folder, "--witnessed", str(notes)).out
    assert "not covered by a witness" in call("audit", "verify", folder).out


def test_a_file_that_saw_another_history_refuses_the_log(call: Call, vkey: str, tmp_path: Path) -> None:
    work(call)
    notes = tmp_path / "kept"
    assert call("audit", "witness", str(notes), "--vkey", vkey).code == 0
    genuine = notes.read_text()
    other = genuine.replace("default", "default2")
    notes.write_text(other)  # a head of another log says nothing of this one
    assert call("audit", "witness", str(notes), "--vkey", vkey).code == 0
    stranger = vkey[:-6] + "AAAAA="
    assert call("audit", "witness", str(notes), "--vkey", stranger).code == 2
    notes.write_text(genuine.replace("\n", "\n ", 1))
    assert call("audit", "verify", exported(call, tmp_path / "e"), "--witnessed", str(notes)).code in (1, 2)


def test_a_server_of_another_party_cosigns(
    call: Call, witness: tuple[str, str], vkey: str, tmp_path: Path, place: Place
) -> None:
    url, own = witness
    for _ in range(2):  # the second time it is behind, and is shown the growth from where it was
        work(call)
        told = call("audit", "witness", url, "--vkey", vkey, "-o", "json")
        assert told.code == 0, told.err
        assert told.json()["cosignature"].startswith("\u2014 witness.test ")
    folder = Path(exported(call, tmp_path / "export"))
    assert call("audit", "verify", str(folder), "--witness-vkey", own, "-o", "json").json()["witnessed"] == 0


def test_the_keeper_shows_heads_by_itself(
    call: Call, witness: tuple[str, str], tmp_path: Path, place: Place
) -> None:
    url, own = witness
    witnessing = place.served.system.platform.witnessing
    before = witnessing._witnesses
    witnessing._witnesses = (witness_at(url, tuple), witness_at(str(tmp_path / "kept"), signer_keys(place)))
    try:
        work(call)
        assert call("audit", "export", str(tmp_path / "first")).code == 0  # joins all that is committed
        assert place.served.ask(witnessing.show()) == 0
    finally:
        witnessing._witnesses = before
    folder = exported(call, tmp_path / "export")
    shown = call("audit", "verify", folder, "--witness-vkey", own, "-o", "json").json()
    assert (shown["ok"], shown["witnessed"] > 0) == (True, True)
    kept = call("audit", "verify", folder, "--witnessed", str(tmp_path / "kept"), "-o", "json").json()
    assert kept["witnessed"] == shown["witnessed"]


def signer_keys(place: Place):
    return lambda: place.served.system.platform.sequencing.signer.vkeys


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"junk", 400), (b"old 0\n\nunknown/log\n1\nAAAA\n\n- x AAAA\n", 404), (b"x" * 70_000, 413)],
)  # fmt: skip
def test_a_witness_refuses_what_it_does_not_understand(
    witness: tuple[str, str], body: bytes, status: int
) -> None:
    answer = httpx2.post(f"{witness[0]}/add-checkpoint", content=body)
    assert answer.status_code == status
