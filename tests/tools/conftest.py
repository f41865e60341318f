"""What the tests of the tools share: blobs on disk, workspaces, a real repository, and hosts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tools_kit import FILES, Hand, commit_all, git

from bailiwick.sandbox import HostProcesses
from bailiwick.stores import DiskBlobs
from bailiwick.tools import FileTools, GitTools, Redactor, Repositories, Tool, Tools, Workspaces


@pytest.fixture
def blobs(tmp_path: Path) -> DiskBlobs:
    return DiskBlobs(tmp_path / "blobs", b"0123456789abcdef")


@pytest.fixture
def workspaces(blobs: DiskBlobs) -> Workspaces:
    return Workspaces(blobs)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on main."""
    folder = tmp_path / "service"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for path, body in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    (folder / "run.sh").chmod(0o755)
    commit_all(folder, "Begin")
    return folder


@pytest.fixture
def repositories(repository: Path, tmp_path: Path) -> Repositories:
    return Repositories({"service": repository}, HostProcesses(), tmp_path / "scratch")


@pytest.fixture
def hand(repositories: Repositories, workspaces: Workspaces, blobs: DiskBlobs) -> Hand:
    """The file and git tools in a host."""
    tools = [*FileTools(workspaces).tools(), *GitTools(repositories, workspaces, blobs).tools()]
    return Hand(Tools(tools, blobs=blobs, redactor=Redactor()))


@pytest.fixture
def host_of(blobs: DiskBlobs) -> Callable[..., Hand]:
    """Make a host of given tools."""

    def make(*tools: Tool, redactor: Redactor | None = None) -> Hand:
        return Hand(Tools(tools, blobs=blobs, redactor=redactor if redactor is not None else Redactor()))

    return make
