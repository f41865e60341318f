"""A missing, damaged or wrong key is a refusal that names the file and the way out; nothing is made in its place."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bailiwick.audit import verify_export
from bailiwick.base import Refusal
from bailiwick.policy import Role
from bailiwick.run import Status
from bailiwick.service import Unauthenticated
from bailiwick.stores import DataDirInUse
from bailiwick.wiring import embedded
from bailiwick.wiring.accepting import accept_break
from bailiwick.wiring.beside import ServersRunning
from bailiwick.wiring.inspecting import inspect
from bailiwick.wiring.keyfiles import KEY_FILES, KeyMissing, KeyUnusable, KeyWrong
from bailiwick.wiring.replacing import KeyNotLost, replace_lost_key
from bailiwick.wiring.trust import rotate_signing_key
from bailiwick.wiring.witnesses import witness_app
from figures import tell
from keys_kit import ADMIN, Deployment, deployment, done_run, greeting

__all__ = ["deployment"]

Loss = Callable[[Path], object]


class PowerCut(Exception):
    """The power went off at a rename."""


def other_content(path: Path) -> object:
    return path.write_bytes(bytes(range(32)))


def swapped(path: Path) -> object:
    names = [*KEY_FILES, *KEY_FILES]
    return path.write_bytes((path.parent / names[names.index(path.name) + 1]).read_bytes())


LOSSES: tuple[tuple[Loss, type[Refusal]], ...] = (
    (Path.unlink, KeyMissing),
    (lambda path: path.write_bytes(b""), KeyUnusable),
    (lambda path: path.write_bytes(path.read_bytes()[:31]), KeyUnusable),
    (lambda path: path.write_bytes(path.read_bytes() + b"\n"), KeyUnusable),
    (lambda path: (path.unlink(), path.mkdir()), KeyUnusable),
    (other_content, KeyWrong),
    (swapped, KeyWrong),
)


async def test_no_start_and_no_command_goes_on_with_a_lost_or_wrong_key(deployment: Deployment) -> None:
    await deployment.begin()
    genuine = deployment.kept()
    before = await deployment.look()
    refused = 0
    for name in KEY_FILES:
        for lose, expected in LOSSES:
            lose(deployment.keys / name)
            left = {path.name for path in deployment.keys.iterdir()}
            for act in (
                deployment.look,
                lambda: inspect(deployment.folder, deployment.store),
                lambda: rotate_signing_key(deployment.settings),
            ):
                with pytest.raises(expected) as caught:
                    await act()
                assert str(deployment.keys / name) in caught.value.message
                assert f"audit replace-lost-key {name}" in caught.value.remedy
                refused += 1
            assert {path.name for path in deployment.keys.iterdir()} == left
            restore(deployment, genuine)
    detail, report = await deployment.look()
    assert (detail.run.status, detail.plan) == (Status.COMPLETED, before[0].plan)
    assert (report.ok, report.anchored) == (True, True), report.findings
    assert report.size > before[1].size - 1
    tell(f"{refused} refusals of {len(LOSSES)} kinds of loss for {len(KEY_FILES)} keys, 0 keys made anew")


def restore(deployment: Deployment, genuine: dict[str, bytes]) -> None:
    shutil.rmtree(deployment.keys)
    deployment.keys.mkdir(mode=0o700)
    for name, body in genuine.items():
        (deployment.keys / name).write_bytes(body)


async def test_a_swapped_key_is_called_by_its_own_name(deployment: Deployment) -> None:
    await deployment.begin()
    shutil.copy(deployment.keys / "pepper.key", deployment.keys / "blobs.key")
    with pytest.raises(KeyWrong, match=r"it holds what belongs into pepper\.key"):
        await deployment.look()


async def test_an_empty_folder_of_keys_beside_a_ledger_stays_empty(deployment: Deployment) -> None:
    """What a second host with a folder of its own would do, or a restore that forgot the keys."""
    await deployment.begin()
    host = deployment.another_host(deployment.folder.with_name("host")) if deployment.store else deployment
    shutil.rmtree(host.keys, ignore_errors=True)
    with pytest.raises(KeyMissing, match=r"signing\.key.*pepper\.key.*blobs\.key") as caught:
        await host.look()
    assert "shared_dir" in caught.value.remedy
    assert host.kept() == {}


async def test_a_first_start_that_was_cut_off_goes_on(deployment: Deployment) -> None:
    """Keys that were made before anything was recorded are kept, and what is missing then is made."""
    deployment.keys.mkdir(parents=True)
    (deployment.keys / "pepper.key").write_bytes(bytes(range(32)))
    await deployment.begin()
    assert (deployment.keys / "pepper.key").read_bytes() == bytes(range(32))
    assert len(deployment.recorded()) == 3


async def test_an_older_ledger_adopts_the_keys_that_wrote_it(deployment: Deployment) -> None:
    await deployment.begin()
    genuine, recorded = deployment.kept(), deployment.recorded()
    for name in KEY_FILES:
        for lose, expected in LOSSES:
            deployment.forget()
            lose(deployment.keys / name)
            with pytest.raises(expected) as caught:
                await deployment.look()
            assert str(deployment.keys / name) in caught.value.message
            assert deployment.recorded() == []
            restore(deployment, genuine)
    await deployment.look()
    assert deployment.recorded() == recorded


async def test_a_rotated_signing_key_is_believed_by_its_statement_alone(deployment: Deployment) -> None:
    await deployment.begin()
    old, seed = deployment.recorded(), (deployment.keys / "signing.key").read_bytes()
    await rotate_signing_key(deployment.settings)
    statement = (deployment.keys / "rotations").read_bytes()
    (deployment.keys / "rotations").unlink()
    with pytest.raises(KeyWrong, match="signing"):
        await deployment.look()
    (deployment.keys / "rotations").write_bytes(statement)
    _, report = await deployment.look()
    assert report.ok, report.findings
    assert deployment.recorded() != old
    # A restored backup of the keys that is older than the rotation.
    (deployment.keys / "signing.key").write_bytes(seed)
    with pytest.raises(KeyWrong, match="signing"):
        await deployment.look()


async def test_a_lost_signing_key_is_replaced_on_the_record(deployment: Deployment) -> None:
    await deployment.begin()
    (deployment.keys / "signing.key").unlink()
    done = await replace_lost_key(deployment.settings, "signing.key", "the disk of the keys broke")
    assert "auditors" in done.follows
    async with embedded(deployment.settings, [greeting()]) as system:
        assert system.platform.keyring.authenticate(deployment.secret).role is Role.ADMIN
        await done_run(system)
        files = await system.platform.sequencing.export(ADMIN)
        vkey = system.platform.sequencing.signer.vkey
    assert b"the disk of the keys broke" in files["entries.jsonl"]
    assert b"key.replaced" in files["entries.jsonl"]
    assert verify_export(files, trusted=[vkey]).ok
    assert not verify_export(files, trusted=[deployment.vkey]).ok


async def test_a_lost_pepper_is_replaced_and_voids_every_key(deployment: Deployment) -> None:
    await deployment.begin()
    (deployment.keys / "pepper.key").write_bytes(b"")
    done = await replace_lost_key(deployment.settings, "pepper.key", "overwritten")
    assert "keys recover" in done.follows
    async with embedded(deployment.settings, [greeting()]) as system:
        with pytest.raises(Unauthenticated):
            system.platform.keyring.authenticate(deployment.secret)
        assert (await system.platform.reading.detail(ADMIN, deployment.run)).run.id == deployment.run


async def test_blobs_are_found_again_without_their_key(deployment: Deployment) -> None:
    await deployment.begin()
    (deployment.keys / "blobs.key").unlink()
    done = await replace_lost_key(deployment.settings, "blobs.key", "lost with the host")
    assert "found again" in done.follows
    detail, report = await deployment.look()
    assert detail.run.status is Status.COMPLETED
    assert report.ok, report.findings
    checked, violations = await inspect(deployment.folder, deployment.store)
    assert checked
    assert violations == []


@pytest.mark.parametrize("older", [False, True], ids=["fingerprints", "older than fingerprints"])
async def test_a_replacement_that_is_cut_off_at_a_rename_is_finished_by_the_same_act(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    await deployment.begin()
    if older:
        deployment.forget()
    (deployment.keys / "blobs.key").unlink()
    genuine, cuts = Path.replace, 0

    def cut_at(step: int) -> Callable[[Path, Path], Path]:
        steps = itertools.count()

        def replace(path: Path, target: Path) -> Path:
            if next(steps) == step:
                raise PowerCut
            return genuine(path, target)

        return replace

    while True:
        monkeypatch.setattr(Path, "replace", cut_at(cuts % 4))
        try:
            done = await replace_lost_key(deployment.settings, "blobs.key", "lost with the host")
        except PowerCut:
            cuts += 1
            assert cuts < 100
            with pytest.raises((KeyMissing, KeyWrong)):
                await deployment.look()
            continue
        break
    monkeypatch.undo()
    assert cuts > 2
    assert "of 1 nothing tells whose" in done.follows, "the platform's own, as where nothing is cut off"
    with pytest.raises(KeyNotLost):
        await replace_lost_key(deployment.settings, "blobs.key", "once more")
    detail, report = await deployment.look()
    assert detail.run.status is Status.COMPLETED
    assert report.ok, report.findings
    _, violations = await inspect(deployment.folder, deployment.store)
    assert violations == []
    tell(
        f"{cuts} replacements of blobs.key cut off, finished by the next, 0 of the tenant's blobs left behind"
    )


async def test_no_key_is_replaced_or_rotated_and_no_break_accepted_beside_a_server(
    deployment: Deployment, tmp_path: Path
) -> None:
    """On SQLite the server has the data directory; on PostgreSQL it may be another host's with one of its own."""
    await deployment.begin()
    server, refusal = deployment, DataDirInUse
    if deployment.store:
        server, refusal = deployment.another_host(tmp_path / "other"), ServersRunning
        shutil.copytree(deployment.keys, server.keys)
    async with embedded(server.settings, [greeting()]):
        pepper = (deployment.keys / "pepper.key").read_bytes()
        (deployment.keys / "pepper.key").unlink()
        genuine = deployment.kept()
        for act in (
            lambda: replace_lost_key(deployment.settings, "pepper.key", "lost"),
            lambda: accept_break(deployment.settings, "tenant:default", "seen"),
            lambda: rotate_signing_key(deployment.settings),
        ):
            with pytest.raises(refusal):
                await act()
        assert deployment.kept() == genuine
        (deployment.keys / "pepper.key").write_bytes(pepper)
    (deployment.keys / "pepper.key").unlink()
    assert (await replace_lost_key(deployment.settings, "pepper.key", "lost")).logs


async def test_only_a_key_that_is_lost_is_replaced(deployment: Deployment) -> None:
    await deployment.begin()
    genuine = deployment.kept()
    for name in KEY_FILES:
        with pytest.raises(KeyNotLost):
            await replace_lost_key(deployment.settings, name, "by mistake")
    assert deployment.kept() == genuine
    (deployment.keys / "pepper.key").unlink()
    with pytest.raises(KeyMissing, match="pepper"):
        await replace_lost_key(deployment.settings, "blobs.key", "not the one that is lost")


async def test_a_ledger_that_no_server_of_this_release_has_opened_is_inspected(
    deployment: Deployment,
) -> None:
    await deployment.begin()
    deployment.edit("ALTER TABLE fingerprints RENAME TO set_aside")
    try:
        _, violations = await inspect(deployment.folder, deployment.store)
    finally:
        deployment.edit("ALTER TABLE set_aside RENAME TO fingerprints")  # the database is lent
    assert violations == []


def test_a_witness_does_not_go_on_under_another_key(tmp_path: Path) -> None:
    _, own = witness_app(tmp_path, "witness.test", {})
    assert witness_app(tmp_path, "witness.test", {})[1] == own
    genuine = (tmp_path / "witness.key").read_bytes()
    for lose, expected in LOSSES[:-1]:
        lose(tmp_path / "witness.key")
        with pytest.raises(expected, match=r"witness\.key"):
            witness_app(tmp_path, "witness.test", {})
        if (tmp_path / "witness.key").is_dir():
            (tmp_path / "witness.key").rmdir()
        (tmp_path / "witness.key").write_bytes(genuine)
    assert witness_app(tmp_path, "witness.test", {})[1] == own


def test_a_witness_that_lost_its_folder_s_key_is_refused_also_without_a_fingerprint(tmp_path: Path) -> None:
    """A folder of an earlier release: what it cosigned lies there, so a key was there."""
    (tmp_path / "0.notes").write_text("")
    with pytest.raises(KeyMissing, match=r"witness\.key"):
        witness_app(tmp_path, "witness.test", {})
