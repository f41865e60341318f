"""Landing: a patch becomes one commit on a new branch, and is found again by its key."""

import re
from collections.abc import Mapping

import msgspec

from bailiwick.base import Category, Digest, Refusal, canonical, digest_of
from bailiwick.contract import ErrorCategory
from bailiwick.ports import CallFailed
from bailiwick.tools.patch import MODES, FilePatch, PatchDoesNotFit, apply_to
from bailiwick.tools.paths import check_layout
from bailiwick.tools.repository import GitEntry, NoSuchRevision, Repository

_SEARCHED = 200
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}\Z")
_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")
_TRAILER = "Bailiwick-"


class BadLanding(Refusal, code="bad_landing", category=Category.INVALID):
    """A branch name or a commit message is not one that is written to a repository."""

    what: str
    reason: str
    says = "the {what} is refused: {reason}"
    remedy = (
        "name the branch like agent/health-endpoint, and write the message as plain text without "
        "Bailiwick- lines"
    )


class Landing(msgspec.Struct, frozen=True):
    """What is to land: the parsed patch upon a base, on a branch that does not exist, under a key."""

    key: str
    run: str
    base: str
    branch: str
    message: str
    patch: Digest
    files: tuple[FilePatch, ...]
    arguments: Digest

    @property
    def branch_reference(self) -> str:
        """The branch's full name."""
        return f"refs/heads/{self.branch}"

    @property
    def key_reference(self) -> str:
        """Where the commit stays findable after the branch was merged and deleted."""
        return f"refs/bailiwick/applied/{digest_of(self.key.encode())}"

    @property
    def full_message(self) -> str:
        """The message with its trailers; the key stands last."""
        trailers = (
            f"Run: {self.run}",
            f"Patch: {self.patch}",
            f"Arguments: {self.arguments}",
            f"Key: {self.key}",
        )
        return "\n".join([self.message.strip(), "", *(_TRAILER + each for each in trailers), ""])


def check_landing(landing: Landing) -> None:
    """Check what would be written as a name or as text.

    Raises:
        BadLanding: The branch, the message, the key or the run's id could be read as something else.
    """
    parts = landing.branch.split("/")
    if (
        not _BRANCH.match(landing.branch)
        or ".." in landing.branch
        or landing.branch == "HEAD"
        or any(not part or part[0] in ".-" or part.endswith((".lock", ".")) for part in parts)
    ):
        raise BadLanding("branch name", "letters, digits and . _ - / only, in the form git takes")
    if not landing.message.strip() or any(
        not character.isprintable() and character not in "\n\t" for character in landing.message
    ):
        raise BadLanding("message", "it is empty or holds characters that nobody sees")
    if any(line.strip().lower().startswith(_TRAILER.lower()) for line in landing.message.splitlines()):
        raise BadLanding("message", "it holds a line that looks like a trailer of ours")
    if not _KEY.match(landing.key) or not _KEY.match(landing.run):
        raise BadLanding("key", "an effect's key is printable ASCII without blanks")


def arguments_digest(arguments: Mapping[str, object]) -> Digest:
    """Name the arguments of a call: one key stands for one content."""
    return digest_of(canonical(dict(arguments)))


async def land(repository: Repository, landing: Landing) -> str:
    """Land a patch, or find that it has landed.

    Returns:
        The commit's id; the same one for the same key, whoever asks and however often.

    Raises:
        CallFailed: The branch belongs to something else, or the key to another action (rejected).
        PatchDoesNotFit: The base is not what the patch was made from.
    """
    landed = await find(repository, landing)
    if landed is None:
        commit = await build(repository, landing)
        landed = await publish(repository, landing, commit)
    return landed


async def find(repository: Repository, landing: Landing) -> str | None:
    """Find the commit that carries the key: by its own reference, else on the branch.

    Raises:
        CallFailed: Rejected: the branch exists without it, or the key belongs to other arguments.
    """
    known = await repository.reference(landing.key_reference)
    if known is not None:
        _check_same(landing, (await repository.contents([known]))[0])
        return known
    tip = await repository.reference(landing.branch_reference)
    if tip is None:
        return None
    commits = await repository.first_parents(tip, landing.base, _SEARCHED)
    for commit, raw in zip(commits, await repository.contents(commits), strict=True):
        if _trailers(raw).get("Key") == landing.key:
            _check_same(landing, raw)
            await repository.create_reference(landing.key_reference, commit)
            return commit
    raise CallFailed(
        ErrorCategory.REJECTED,
        f"the branch {landing.branch} exists already and is not from this action; choose another name",
    )


async def build(repository: Repository, landing: Landing) -> str:
    """Store the commit; nothing refers to it yet, so a crash after it leaves no trace but garbage.

    Raises:
        PatchDoesNotFit: A file of the base is not what the patch was made from.
        NoSuchRevision: The base is no commit.
    """
    if await repository.resolve(landing.base) != landing.base:
        raise NoSuchRevision(landing.base)
    entries = {
        entry.path.decode(errors="surrogateescape"): entry for entry in await repository.entries(landing.base)
    }
    touched = [entries[file.path].id for file in landing.files if _is_file(entries.get(file.path))]
    bodies = dict(zip(touched, await repository.contents(touched), strict=True))
    edits: dict[str, tuple[str, bytes] | None] = {}
    for file in landing.files:
        entry = entries.pop(file.path, None)
        if entry is not None and not _is_file(entry):
            raise PatchDoesNotFit(file.path, "it is a link or a submodule there")
        after = apply_to(file, bodies[entry.id] if entry else None)
        if file.new_mode is None and entry and entry.mode != file.old_mode:
            raise PatchDoesNotFit(file.path, f"its mode is {entry.mode}")
        mode = entry.mode if entry else (file.new_mode or MODES[0])
        edits[file.path] = None if after is None else (mode, after)
    check_layout([*entries, *(path for path, edit in edits.items() if edit)])
    return await repository.commit(landing.base, edits, landing.full_message)


async def publish(repository: Repository, landing: Landing, commit: str) -> str:
    """Create the branch, which is the moment it lands, then the key's reference.

    Returns:
        The commit that landed: another one when a twin of this call was faster.

    Raises:
        CallFailed: The branch was taken by something else meanwhile (rejected), or is locked (transient).
    """
    fault = await repository.create_reference(landing.branch_reference, commit)
    if not fault:
        # The branch comes first: a crash in between is healed by `find`, which reads the trailer.
        await repository.create_reference(landing.key_reference, commit)
        return commit
    landed = await find(repository, landing)
    if landed is not None:
        return landed
    locked = ".lock" in fault and "File exists" in fault
    raise CallFailed(
        ErrorCategory.TRANSIENT if locked else ErrorCategory.REJECTED, f"git refused the branch: {fault}"
    )


def _is_file(entry: GitEntry | None) -> bool:
    return entry is not None and entry.mode in MODES


def _check_same(landing: Landing, raw: bytes) -> None:
    if _trailers(raw).get("Arguments") != landing.arguments:
        raise CallFailed(ErrorCategory.REJECTED, "this key has landed another action before")


def _trailers(raw: bytes) -> dict[str, str]:
    """Read our trailers from a commit object: lines of the last paragraph only."""
    _, _, message = raw.decode(errors="replace").partition("\n\n")
    paragraph = message.rstrip("\n").rpartition("\n\n")[2]
    pairs = (
        line.removeprefix(_TRAILER).split(": ", 1)
        for line in paragraph.split("\n")
        if line.startswith(_TRAILER)
    )
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
