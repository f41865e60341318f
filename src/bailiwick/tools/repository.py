"""The repository: git's object database of a configured repository, read and extended by plumbing alone.

Objects are read and written through a private, empty git folder that borrows the repository's object store; so no
hook, filter, attribute, alias, replacement or setting of the repository, the user or the system takes part. Only two
things run inside the repository's own folder: looking up a reference, and creating one.
"""

import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bailiwick.base import Category, Refusal, Short
from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed, Processes, ProcessResult

_PATH = "/usr/local/bin:/usr/bin:/bin"
_SECONDS = 60.0
_OUTPUT_BYTES = 134_217_728
_SAFE = (
    "core.hooksPath=/dev/null", "core.fsync=all", "core.fsmonitor=false", "core.autocrlf=false", "core.attributesFile=/dev/null",
    "core.logAllRefUpdates=false", "commit.gpgSign=false", "gc.auto=0", "protocol.allow=never", "advice.detachedHead=false",
)  # fmt: skip
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}\Z")
_OBJECT_ID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")


class NoSuchRepository(Refusal, code="no_such_repository", category=Category.ABSENT):
    """No repository of that name is configured on this host, or its folder holds none."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"no repository is configured under the name {name[:80]!r}",
            remedy=f"use a configured name: {', '.join(known) or 'there is none; configure one'}",
            name=name[:80],
        )


class NoSuchRevision(Refusal, code="no_such_revision", category=Category.ABSENT):
    """A text does not name a commit of the repository."""

    revision: Short
    says = "{revision!r} does not name a commit"
    remedy = "give a branch, a tag, HEAD or a full commit id; expressions such as main~1 are not taken"


class ObjectsMissing(Refusal, code="objects_missing", category=Category.ABSENT):
    """A commit names content that the repository does not hold: a partial clone, or one that was damaged."""

    object: Short
    says = "the repository does not hold the object {object} that its commit names; it may be a partial clone"
    remedy = (
        "fetch everything, in the repository: git fetch --refetch --no-filter; nothing is fetched from here"
    )


class GitEntry(msgspec.Struct, frozen=True):
    """A file of a commit: mode in six octal digits, object id, size in bytes (-1 for a submodule)."""

    path: bytes
    mode: str
    id: str
    size: int


class Author(msgspec.Struct, frozen=True):
    """Who stands in commits as author and committer."""

    name: str = "Bailiwick"
    email: str = "bailiwick@localhost"


class Repositories:
    """The repositories that this host may touch, by name; agents never give a folder.

    Args:
        folders: Name to folder (a working copy or a bare repository).
        processes: Starts git.
        scratch: A folder for private git folders, each removed after use.
        author: Stands in every commit.
        owners: The app that each belongs to, by name; to all others it does not exist. None: they are everybody's.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        processes: Processes,
        scratch: Path,
        author: Author | None = None,
        owners: Mapping[str, str] | None = None,
    ) -> None:
        self._owners = owners
        self._folders = dict(folders)
        self._processes = processes
        self._scratch = scratch
        self._author = author if author is not None else Author()
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)

    @asynccontextmanager
    async def open(self, name: str, app: str = "") -> AsyncIterator["Repository"]:
        """Open a repository for one call of an app.

        Raises:
            NoSuchRepository: Not configured for this app, or not a repository.
        """
        own = [known for known in self._folders if self._owners is None or self._owners.get(known) == app]
        if name not in own:
            raise NoSuchRepository(name, tuple(sorted(own)))
        folder = self._folders[name]
        inner = folder / ".git" if (folder / ".git").exists() else folder
        git = Git(self._processes, self._scratch, self._author)
        found = await git.run(
            f"--git-dir={inner.absolute()}", "rev-parse", "--path-format=absolute", "--git-dir",
            "--git-path", "objects", "--show-object-format",
        )  # fmt: skip
        lines = found.stdout.decode().splitlines()
        if found.exit_code or len(lines) != 3:
            raise NoSuchRepository(name, tuple(sorted(own)))
        with tempfile.TemporaryDirectory(
            prefix="git-", dir=self._scratch, ignore_cleanup_errors=True
        ) as private:
            # git takes the modes of new objects from this folder: a repository that is closed to others stays so.
            shared = "umask" if _is_open(Path(lines[1])) else "0600"
            await git.demand(
                "init",
                "--quiet",
                "--bare",
                "--template=",
                f"--object-format={lines[2]}",
                f"--shared={shared}",
                private,
            )
            yield Repository(git, Path(lines[0]), Path(lines[1]), Path(private), lines[2])


class Git:
    """Runs git with an environment and settings of our own, and nothing else."""

    def __init__(self, processes: Processes, cwd: Path, author: Author) -> None:
        self._processes = processes
        self._cwd = cwd
        self._environment = {
            "PATH": _PATH,
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_COMMITTER_NAME": author.name,
            "GIT_COMMITTER_EMAIL": author.email,
        }

    async def run(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> ProcessResult:
        """Run git; the exit code is for the caller to read."""
        settings = [word for setting in _SAFE for word in ("-c", setting)]
        return await self._processes.run(
            ("git", *settings, *arguments),
            cwd=self._cwd,
            env={**self._environment, **(extra if extra is not None else {})},
            stdin=stdin,
            timeout_seconds=_SECONDS,
            output_bytes=_OUTPUT_BYTES,
        )

    async def demand(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git and hand back what it wrote.

        Raises:
            CallFailed: It ended with another code than 0.
        """
        result = await self.run(*arguments, stdin=stdin, extra=extra)
        if result.exit_code:
            command = next(word for word in arguments if not word.startswith("-"))
            raise CallFailed(ErrorCategory.TOOL_FAILED, f"git {command} failed: {_first_line(result.stderr)}")
        return result.stdout


class Repository:
    """One repository, open for one call."""

    def __init__(self, git: Git, folder: Path, objects: Path, private: Path, object_format: str) -> None:
        self._git = git
        self._folder = folder
        self._private = private
        self._zero = "0" * (64 if object_format == "sha256" else 40)
        self._extra = {
            "GIT_DIR": str(private),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_INDEX_FILE": str(private / "index"),
        }

    async def resolve(self, revision: str) -> str:
        """Name the commit behind a branch, a tag, HEAD or a full commit id.

        Raises:
            NoSuchRevision: There is none.
        """
        if _REVISION.match(revision) and ".." not in revision:
            found = await self._own(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
            )
            commit = found.stdout.decode().strip()
            if not found.exit_code and _OBJECT_ID.match(commit):
                return commit
        raise NoSuchRevision(revision)

    async def reference(self, name: str) -> str | None:
        """Read a reference such as refs/heads/main; None when there is none."""
        found = await self._own("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return None if found.exit_code else found.stdout.decode().strip()

    async def create_reference(self, name: str, commit: str) -> str:
        """Create a reference that must not exist; compare-and-set by git.

        Returns:
            Nothing when it was created, else why it was not.
        """
        created = await self._own("update-ref", "--no-deref", name, commit, self._zero)
        return _first_line(created.stderr) if created.exit_code else ""

    async def entries(self, commit: str) -> list[GitEntry]:
        """List all that a commit holds.

        Raises:
            ObjectsMissing: One of its files is not here.
        """
        raw = await self._demand("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
        found = []
        for record in raw.split(b"\0")[:-1]:
            facts, _, path = record.partition(b"\t")
            mode, _, identifier, size = facts.decode().split()
            if size == "BAD":
                raise ObjectsMissing(identifier)
            found.append(GitEntry(path, mode, identifier, -1 if size == "-" else int(size)))
        return found

    async def contents(self, identifiers: list[str]) -> list[bytes]:
        """Read objects (blobs, commits) by their ids, in order.

        Raises:
            ObjectsMissing: One is not here.
        """
        raw = await self._demand(
            "cat-file", "--batch", stdin="".join(f"{each}\n" for each in identifiers).encode()
        )
        found, at = [], 0
        for identifier in identifiers:
            end = raw.index(b"\n", at)
            header = raw[at:end].split()
            if len(header) != 3:
                raise ObjectsMissing(identifier)
            at = end + 1 + int(header[2])
            found.append(raw[end + 1 : at])
            at += 1
        return found

    async def first_parents(self, tip: str, base: str, limit: int) -> list[str]:
        """List the commits from `tip` back to `base` (excluded) along first parents, at most `limit`."""
        found = await self._own("rev-list", "--first-parent", f"--max-count={limit}", tip, f"^{base}")
        return [] if found.exit_code else found.stdout.decode().split()

    async def commit(self, base: str, edits: Mapping[str, tuple[str, bytes] | None], message: str) -> str:
        """Store a commit upon `base`, which no reference names yet.

        Args:
            base: The parent.
            edits: Path to (mode, content), or None to delete.
            message: The whole message.

        Raises:
            CallFailed: git failed, or the commit would change other paths than `edits`.
        """
        await self._demand("read-tree", base)
        kept = [(path, edit) for path, edit in edits.items() if edit is not None]
        names = []
        for index, (_, (_, body)) in enumerate(kept):
            file = self._private / f"content-{index}"
            file.write_bytes(body)
            names.append(f"{file}\n")
        raw = await self._demand(
            "hash-object", "-w", "--no-filters", "--stdin-paths", stdin="".join(names).encode()
        )
        lines = [
            f"{mode} {identifier}\t{path}\0"
            for (path, (mode, _)), identifier in zip(kept, raw.decode().split(), strict=True)
        ]
        lines += [f"0 {self._zero}\t{path}\0" for path, edit in edits.items() if edit is None]
        await self._demand("update-index", "-z", "--index-info", stdin="".join(lines).encode())
        tree = (await self._demand("write-tree")).decode().strip()
        changed = await self._demand("diff-tree", "-r", "-z", "--no-renames", "--name-only", base, tree)
        if sorted(changed.decode().split("\0")[:-1]) != sorted(edits):
            raise CallFailed(
                ErrorCategory.INTERNAL, "the commit would change other paths than the patch names"
            )
        return (await self._demand("commit-tree", tree, "-p", base, stdin=message.encode())).decode().strip()

    async def _demand(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return await self._git.demand(*arguments, stdin=stdin, extra=self._extra)

    async def _own(self, *arguments: str) -> ProcessResult:
        return await self._git.run(f"--git-dir={self._folder}", *arguments)


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o077)


def _first_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[0][:300] if lines else "it gave no reason"
