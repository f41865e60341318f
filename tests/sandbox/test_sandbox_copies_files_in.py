"""The job works on a copy: nothing outside the tree goes in, nothing that it does comes back."""

import os
from pathlib import Path

import pytest

from bailiwick.ports import CallFailed, SandboxJob, Stop
from bailiwick.sandbox.tree import pack


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "src" / "deep").mkdir(parents=True)
    (top / "src" / "app.py").write_text("x = 1\n")
    (top / "run.sh").write_text("#!/usr/bin/sh\necho ran\n")
    (top / "run.sh").chmod(0o700)
    (top / "src" / "link.py").symlink_to("app.py")
    return top


async def shell(sandbox, tree: Path, script: str) -> str:
    job = SandboxJob(argv=("sh", "-c", script), files=tree)
    result = await sandbox.run(job, lambda _: None, Stop())
    assert result.ended_by == "exit"
    return result.output


async def test_files_folders_programs_and_inner_links_arrive(sandbox, tree: Path) -> None:
    output = await shell(
        sandbox, tree, "./run.sh; cat src/link.py; find . -type d | sort; stat -c '%u %a' run.sh"
    )
    assert output == "ran\nx = 1\n.\n./src\n./src/deep\n65534 755\n"


async def test_nothing_that_the_job_does_comes_back(sandbox, tree: Path) -> None:
    before = sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*"))
    await shell(sandbox, tree, "rm -rf run.sh src; echo new > new; mkdir -p src; echo evil > src/app.py")
    assert sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*")) == before


async def test_a_link_out_of_the_tree_is_not_followed_not_copied_and_named(sandbox, tree: Path) -> None:
    outside = tree.parent / "secret"
    outside.write_text("a secret")
    (tree / "passwd").symlink_to("/etc/passwd")
    (tree / "src" / "up").symlink_to("../../secret")
    (tree / "folder").symlink_to(tree.parent)
    output = await shell(sandbox, tree, "cat passwd src/up folder/secret; ls -A . src")
    assert "a secret" not in output
    assert "root:" not in output
    assert "sandbox: not copied, 3 in all: 'folder', 'passwd', 'src/up'" in output
    assert output.endswith(".:\nrun.sh\nsrc\n\nsrc:\napp.py\ndeep\nlink.py\n")


async def test_pipes_and_sockets_are_not_opened(sandbox, tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    output = await shell(sandbox, tree, "ls")
    assert output == "sandbox: not copied, 1 in all: 'pipe'\nrun.sh\nsrc\n"


async def test_odd_names_arrive_as_they_are(sandbox, tmp_path: Path) -> None:
    names = ["-rf", "--checkpoint-action=exec=sh x", "a\nb", "é", "x" * 200, os.fsdecode(b"\xff\xfe")]
    deep = tmp_path / "t" / "/".join(["y" * 60] * 5)
    deep.mkdir(parents=True)
    for name in names:
        (tmp_path / "t" / name).write_text("1")
    output = await shell(sandbox, tmp_path / "t", "python -c 'import os; print(sorted(os.listdir(b\".\")))'")
    assert output == f"{sorted([os.fsencode(name) for name in names] + [b'y' * 60])}\n"
    assert (await shell(sandbox, tmp_path / "t", "find . -type d | wc -l; cat -- ./-rf")).split() == [
        "6",
        "1",
    ]


async def test_a_tree_that_is_too_large_is_refused_before_anything_runs(sandbox, tree: Path) -> None:
    with (tree / "large").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(CallFailed) as failure:
        await shell(sandbox, tree, "ls")
    assert failure.value.category == "tool-failed"
    assert failure.value.unsent
    assert "large" in failure.value.message


def test_a_tree_of_too_many_entries_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bailiwick.sandbox.tree.MAX_ENTRIES", 10)
    for number in range(11):
        (tmp_path / str(number)).touch()
    with pytest.raises(CallFailed, match="entries"):
        pack(tmp_path, limit_bytes=1)


async def test_a_tree_that_is_not_there_is_refused(sandbox, tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="absent"):
        await shell(sandbox, tmp_path / "absent", "ls")


def test_the_same_tree_is_the_same_bytes_whoever_made_it(tree: Path) -> None:
    first = pack(tree, limit_bytes=1_000_000)
    for path in tree.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1, 1), follow_symlinks=False)
    assert pack(tree, limit_bytes=1_000_000) == first
