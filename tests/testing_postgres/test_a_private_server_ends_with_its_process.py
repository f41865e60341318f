"""A private PostgreSQL leaves nothing behind, neither a server nor a folder, even when its process is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 20.0
CHILD = """
import sys
from bailiwick.testing.postgres import PrivateCluster

with PrivateCluster() as cluster:
    print(cluster.folder, (cluster.folder / "data/postmaster.pid").read_text().split()[0], flush=True)
    sys.stdin.read()
"""


def started() -> tuple[subprocess.Popen[str], Path, int]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    folder, server = child.stdout.readline().split()
    assert running(int(server))
    return child, Path(folder), int(server)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_is_killed_leaves_no_server_and_no_folder() -> None:
    child, folder, server = started()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    give_up = time.monotonic() + PATIENCE
    while running(server) or folder.exists():
        assert time.monotonic() < give_up, (running(server), folder)
        signal.sigtimedwait([], 0.02)


def test_a_process_that_ends_by_itself_has_cleaned_up_when_it_is_gone() -> None:
    child, folder, server = started()
    child.communicate("")
    assert child.returncode == 0
    assert not running(server)
    assert not folder.exists()
