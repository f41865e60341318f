"""Rotation by command: refused while a server runs, whole or not at all, and nothing signed before is lost."""

from pathlib import Path

import pytest
from cli_kit import Place, run

from bailiwick.audit import linked, notes_in, open_rotation, verify_export
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.service.proof.sequencing import Sequencing
from bailiwick.stores import DataDirInUse, open_store
from bailiwick.wiring import Settings, embedded
from bailiwick.wiring.keys import DeploymentKeys
from bailiwick.wiring.trust import rotate_signing_key

ADMIN = Principal("usr_root", "root", PrincipalKind.USER, "default", Role.ADMIN)


async def exported(folder: Path) -> tuple[dict[str, bytes], str]:
    keys = DeploymentKeys(folder / "keys")
    store = open_store(folder, blob_key=keys.blob_key)
    try:
        sequencing = Sequencing(audit=store.audit, feed=store.feed, signer=keys.signer("bailiwick.local"))
        return await sequencing.export(ADMIN), sequencing.signer.vkey
    finally:
        store.close()


async def grow(folder: Path) -> None:
    """Add to the log: a start issues the first key, later ones a further one."""
    async with embedded(Settings(data_dir=str(folder)), []) as system:
        await system.platform.keyring.issue("default", name="more", role=Role.VIEWER, groups=(), by="test")


async def test_what_was_signed_before_a_rotation_verifies_with_either_key(tmp_path: Path) -> None:
    await grow(tmp_path)
    before, old = await exported(tmp_path)
    told = run(tmp_path, "audit", "rotate-key", "--data-dir", str(tmp_path))
    assert (told.code, old in told.out) == (0, True), told.err
    await grow(tmp_path)
    after, new = await exported(tmp_path)
    assert old != new
    note = before["checkpoint"].decode()
    for trusted in (old, new):
        report = verify_export(after, trusted=[trusted], witnessed=[note])
        assert (report.ok, report.witnessed) == (True, int(note.split("\n")[1])), report.findings
    assert verify_export(before, trusted=[old]).ok
    assert not verify_export(before, trusted=[new]).ok  # it was made before anybody knew the new key


async def test_a_key_in_use_is_not_rotated(place: Place) -> None:
    with pytest.raises(DataDirInUse):
        await rotate_signing_key(place.served.system.settings)


@pytest.mark.parametrize("statement", [True, False], ids=["announced", "not-announced"])
def test_a_rotation_that_was_cut_off_is_finished_or_forgotten(tmp_path: Path, statement: bool) -> None:
    """The crash between its three writes: the next key, the statement, the rename."""
    keys = DeploymentKeys.made(tmp_path)
    old, seed = keys.signer("d").vkey, (tmp_path / "signing.key").read_bytes()
    keys.rotate("d")
    new = keys.signer("d").vkey
    successor = (tmp_path / "signing.key").read_bytes()
    (tmp_path / "signing.key").write_bytes(seed)
    (tmp_path / "signing.next").write_bytes(successor)
    if not statement:
        (tmp_path / "rotations").unlink()
    found = DeploymentKeys(tmp_path)
    assert found.signer("d").vkey == (new if statement else old)
    assert not (tmp_path / "signing.next").exists()
    assert found.signer("d").vkeys == ((new, old) if statement else (old,))


def test_many_rotations_stay_linked_to_the_first_key(tmp_path: Path) -> None:
    keys = DeploymentKeys.made(tmp_path)
    vkeys = [keys.signer("d").vkey]
    for _ in range(5):
        keys.rotate("d")
        vkeys.append(keys.signer("d").vkey)
    notes = notes_in(keys.rotations)
    assert [open_rotation(note).new for note in notes] == vkeys[1:]
    assert set(linked([vkeys[0]], notes)) == set(vkeys)
    assert set(DeploymentKeys(tmp_path).signer("d").vkeys) == set(vkeys)
