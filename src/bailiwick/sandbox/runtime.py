"""The staged runtime: Python, pytest and FastAPI where an unprivileged user can read them.

The project, its environment and its interpreter may lie where only their owner may go. So the few
distributions that jobs need are copied once, by version, into a directory that all may read and we alone
may write; it has the form of a virtual environment and is mounted read-only.
"""

import asyncio
import os
import shutil
import stat
import sys
import sysconfig
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import msgspec

from bailiwick.base import Category, Refusal, canonical, digest_of
from bailiwick.sandbox.closure import closure
from bailiwick.sandbox.jail import BASE, RUNTIME, Interior
from bailiwick.sandbox.process import HostProcesses

ROOTS = ("pytest", "fastapi", "httpx2")
"""What jobs can import, with all that these require."""

_LAYOUT = 1  # raised when the same versions are staged in another form
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_OURS = Path(sys.base_prefix).resolve()
_SYSTEM = Path("/usr")
_NOT_NEEDED = ("site-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "config-*")
_PYTEST = f"#!{RUNTIME}/bin/python\nimport sys\n\nimport pytest\n\nsys.exit(pytest.main())\n"
_SAME_ABI = (
    "import asyncio, ctypes, email, json, sqlite3, ssl, sysconfig, unittest, zoneinfo;"
    "print(sysconfig.get_config_var('SOABI'))"
)


class StagingRefused(Refusal, code="staging_refused", category=Category.UNAVAILABLE):
    """The runtime cannot be kept in the directory that was handed in."""

    path: Path
    why: str
    spoken = ("why",)
    says = "{path} cannot hold the sandbox's runtime: {why}"
    remedy = "hand in a directory of your own that everybody may traverse, for example below /var/tmp"


class Base(msgspec.Struct, frozen=True):
    """The interpreter under the runtime: its prefix here, and whether it must be copied to be readable."""

    prefix: Path
    copied: bool = False


def default_cache_dir() -> Path:
    """Name a directory for the runtime that every user of this machine can traverse."""
    return Path(f"/var/tmp/bailiwick-{os.geteuid()}")  # noqa: S108 - its owner and mode are checked


async def stage(cache_dir: Path, *, uid: int, base: Base | None = None) -> Interior:
    """Make the runtime ready for a user id, or find it ready; atomic, so that two may do it at once.

    Raises:
        StagingRefused: The directory is a link, is another's, or cannot be traversed by `uid`.
        NotInstalled: A distribution is missing.
    """
    _claim(cache_dir, uid)
    base = base or await choose_base(uid)
    distributions = closure(ROOTS)
    facts = {
        "layout": [_LAYOUT, _PYTEST],
        "python": sys.version,
        "base": [str(base.prefix), base.copied],
        "distributions": {name: found.version for name, found in distributions.items()},
    }
    target = cache_dir / digest_of(canonical(facts))[:24]
    if not target.exists():
        await _build(target, base, distributions)
    if base.prefix == _SYSTEM:
        return Interior(runtime=target / "venv", base=None)
    shared = sysconfig.get_config_var("Py_ENABLE_SHARED")
    return Interior(
        runtime=target / "venv",
        base=target / "base" if base.copied else base.prefix,
        library_path=f"{BASE}/lib" if shared else "",
    )


async def choose_base(uid: int) -> Base:
    """Choose the interpreter: ours if `uid` can read it, else the system's of the same ABI, else a copy."""
    if _readable(_OURS / "bin" / _PYTHON, uid) and _readable(_OURS / "lib" / _PYTHON / "os.py", uid):
        return Base(prefix=_OURS)
    system = _SYSTEM / "bin" / _PYTHON
    if system.exists():
        answer = await HostProcesses().run(
            (str(system), "-I", "-S", "-c", _SAME_ABI),
            cwd=Path("/"),
            env={},
            stdin=b"",
            timeout_seconds=20,
            output_bytes=10_000,
        )
        if answer.exit_code == 0 and answer.stdout.decode().strip() == sysconfig.get_config_var("SOABI"):
            return Base(prefix=_SYSTEM)
    return Base(prefix=_OURS, copied=True)


def _claim(cache_dir: Path, uid: int) -> None:
    """Make the directory, or make sure that it is ours: in /var/tmp anybody may have made the name first."""
    with suppress(FileExistsError):
        cache_dir.mkdir(mode=0o755, parents=True)
        cache_dir.chmod(0o755)
    found = cache_dir.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise StagingRefused(path=cache_dir, why="it is a link or not a directory")
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StagingRefused(path=cache_dir, why=f"user {found.st_uid} owns it or others may write it")
    for parent in cache_dir.resolve().parents:
        above = parent.stat()
        if above.st_uid not in {0, os.geteuid()} or (
            above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
        ):
            raise StagingRefused(path=cache_dir, why=f"others may rename what is in {parent}")
    if not _readable(cache_dir, uid):
        raise StagingRefused(path=cache_dir, why=f"user {uid} may not go there")


def _readable(path: Path, uid: int) -> bool:
    """Say whether a user may read a file or directory; group memberships of another user count for nothing."""
    if uid == os.geteuid():
        return os.access(path, os.R_OK)
    if not path.exists():
        return False
    here = path.resolve()
    return bool(here.stat().st_mode & 0o004) and all(above.stat().st_mode & 0o001 for above in here.parents)


async def _build(target: Path, base: Base, distributions: dict[str, metadata.Distribution]) -> None:
    """Build aside, then rename into place: whoever sees the name sees all of it."""
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=target.parent))
    try:
        await asyncio.to_thread(_fill, staging, base, distributions)
        await _compile(staging / "venv")
        await asyncio.to_thread(_place, staging, target)
    finally:
        await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)


async def _compile(venv: Path) -> None:
    """Compile now, in another process: inside, nothing can be written, and each job would compile anew."""
    names = ("-s", str(venv), "-p", RUNTIME, str(venv / "lib"))
    await HostProcesses().run(
        (sys.executable, "-I", "-m", "compileall", "-qj0", "--invalidation-mode", "unchecked-hash", *names),
        cwd=venv,
        env={},
        stdin=b"",
        timeout_seconds=300,
        output_bytes=1_000_000,
    )


def _place(staging: Path, target: Path) -> None:
    _open_for_reading(staging)
    with suppress(OSError):  # another was first, and made the same
        staging.rename(target)
    if not target.is_dir():
        raise StagingRefused(path=target, why="it could not be put in place")


def _fill(staging: Path, base: Base, distributions: dict[str, metadata.Distribution]) -> None:
    """Lay out a virtual environment by hand: nothing of it is ever run from here, so no tool need agree."""
    venv = staging / "venv"
    packages = venv / "lib" / _PYTHON / "site-packages"
    packages.mkdir(parents=True)
    for distribution in distributions.values():
        _copy_distribution(distribution, packages)
    home = "/usr/bin" if base.prefix == _SYSTEM else f"{BASE}/bin"
    (venv / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    programs = venv / "bin"
    programs.mkdir()
    for name in ("python", "python3", _PYTHON):
        (programs / name).symlink_to(f"{home}/{_PYTHON}")
    (programs / "pytest").write_text(_PYTEST)
    (programs / "pytest").chmod(0o755)
    if base.copied:
        _copy_base(base.prefix, staging / "base")


def _copy_distribution(distribution: metadata.Distribution, packages: Path) -> None:
    """Copy the files that a distribution recorded, except programs outside the packages and bytecode."""
    for file in distribution.files or ():
        if ".." in file.parts or file.is_absolute() or file.suffix == ".pyc":
            continue
        destination = packages / file
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(distribution.locate_file(file), destination)  # type: ignore[arg-type]


def _copy_base(prefix: Path, destination: Path) -> None:
    (destination / "bin").mkdir(parents=True)
    shutil.copy(prefix / "bin" / _PYTHON, destination / "bin" / _PYTHON)
    shutil.copytree(
        prefix / "lib" / _PYTHON,
        destination / "lib" / _PYTHON,
        symlinks=True,
        ignore=shutil.ignore_patterns(*_NOT_NEEDED),
    )
    for library in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy(library, destination / "lib" / library.name)


def _open_for_reading(top: Path) -> None:
    """Let everybody read and nobody else write, whatever our umask and the sources' modes are."""
    for folder, names, files in os.walk(top):
        for path in (Path(folder, name) for name in [*names, *files]):
            if not path.is_symlink():
                runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if runs else 0o644)
    top.chmod(0o755)
