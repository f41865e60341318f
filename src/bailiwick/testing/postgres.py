"""A private PostgreSQL: a cluster in a temporary folder for tests and benches, with one database for each asker."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Self

USER: Final = "bailiwick"
_TEMPLATE: Final = "prepared"
_START_SECONDS: Final = 30
_GUARD: Final = """
cat > /dev/null
kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" 2> /dev/null && sleep 1
rm -rf "$1"
"""
"""A shell that waits until nobody holds the other end of its input, then ends the server and removes the folder."""

_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "on",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "max_wal_size": "256MB",
    "log_min_messages": "fatal",
}


class PrivateCluster:
    """A running PostgreSQL of this process, reached by a socket in its folder; gone at the end of a `with`.

    Args:
        prepare: SQL for the template that every database of `database` is a copy of.
    """

    def __init__(self, prepare: str = "") -> None:
        self._programs = _programs()
        self._prepare = prepare
        self._numbers = itertools.count(1)
        self._owner = _owner()
        self._uid = self._owner.pw_uid if self._owner is not None else None
        self._gid = self._owner.pw_gid if self._owner is not None else None
        self.folder = Path(tempfile.mkdtemp(prefix="bwpg"))
        self._server: subprocess.Popen[bytes] | None = None
        # However this process ends, SIGKILL too, the kernel closes the pipe.
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.folder)], stdin=subprocess.PIPE, start_new_session=True
        )

    def __enter__(self) -> Self:
        try:
            if self._owner is not None:
                os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
            self._run(
                "initdb",
                "-D",
                str(self.folder / "data"),
                "-U",
                USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "-N",
            )
            self.start()
            self.sql(f"CREATE DATABASE {_TEMPLATE}", "postgres")
            if self._prepare:
                self.sql(self._prepare, _TEMPLATE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._guard.terminate()
        self._guard.communicate()

    def start(self) -> None:
        """Start the server and wait until it answers; while children of a killed one live on, it is tried again.

        Raises:
            RuntimeError: It does not.
        """
        give_up = time.monotonic() + _START_SECONDS
        while not self._started():
            said = (self.folder / "log").read_text()[-2000:]
            if time.monotonic() > give_up or "shared memory" not in said:
                raise RuntimeError(f"PostgreSQL did not start: {said}")

    def _started(self) -> bool:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self._server = subprocess.Popen(
            [
                str(self._programs / "postgres"),
                "-D",
                str(self.folder / "data"),
                "-k",
                str(self.folder),
                *settings,
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            user=self._uid,
            group=self._gid,
        )
        log.close()
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self.folder), "-t", "1"]
        for _ in range(_START_SECONDS * 50):
            if subprocess.run(ready, check=False).returncode == 0:
                return True
            if self._server.poll() is not None:
                break
            signal.sigtimedwait([], 0.02)
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT fast, SIGQUIT at once, as a crash; SIGKILL takes the postmaster alone."""
        assert self._server is not None
        self._server.send_signal(how)
        self._server.wait(_START_SECONDS)
        self._server = None

    def cpu_seconds(self) -> float:
        """Tell what the server's processes have used of the processors so far, those that ended included."""
        assert self._server is not None
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                # After the name, which may hold anything: parent at 1; user, system and what ended children used from 11.
                fields = stat.read_text().rpartition(")")[2].split()
                if int(stat.parent.name) == self._server.pid:
                    ticks += sum(map(int, fields[11:15]))
                elif int(fields[1]) == self._server.pid:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def url(self, database: str) -> str:
        """Tell the URL of a database."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def database(self) -> str:
        """Make a database of its own for whoever asks; answer its URL."""
        name = f"db_{os.getpid()}_{next(self._numbers)}"  # forks share a server
        self.sql(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}", "postgres")
        return self.url(name)

    def sql(self, text: str, database: str) -> str:
        """Run SQL as the owner of all; answer what it printed, a line a row.

        Args:
            text: One or more statements.
            database: A database's name, or its URL.
        """
        where = database if "://" in database else self.url(database)
        done = subprocess.run(
            [str(self._programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", where],
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            cwd="/",
            check=True,
            capture_output=True,
            user=self._uid,
            group=self._gid,
        )


def _owner() -> pwd.struct_passwd | None:
    """Name who the server runs as: not root, which it refuses."""
    return None if os.geteuid() else pwd.getpwnam("postgres")


def _programs() -> Path:
    """Find the server's programs: newest first where Debian puts them, else on the path.

    Raises:
        FileNotFoundError: There is no PostgreSQL here.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        raise FileNotFoundError(
            "PostgreSQL is not installed; `./dev test` installs it, Debian's package is `postgresql`"
        )
    return Path(initdb).parent
