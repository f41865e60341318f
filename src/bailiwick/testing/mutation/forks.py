"""Forks: processes that begin with the tests already imported, so that judging a mutant costs its tests alone."""

import importlib
import io
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import pytest

_TOGETHER: Final = 2
_SECONDS: Final = 60
"""How long a mutant may take: a hundred times what its tests need."""
_SURVEY_SECONDS: Final = 600


class Forks:
    """The tests of a suite, imported once; gone at the end of a `with`.

    Args:
        suite: Where the tests are.
        store: Whose tests; with `postgres` all forks share one server.
        without: Tests whose names hold one of these words are left out.
    """

    def __init__(self, suite: str, store: str, without: Sequence[str]) -> None:
        chosen = " and ".join(f"not {word}" for word in without)
        self._words = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-k", chosen]
        self._suite = suite
        self._shared = store == "postgres"
        self._cluster: Any = None
        self._folder = Path(tempfile.mkdtemp(prefix="bwmut"))

    def __enter__(self) -> Self:
        if _quiet([*self._words, "--collect-only", self._suite], []) != 0:
            raise RuntimeError(f"{self._suite} cannot be collected")
        if self._shared:
            self._cluster = importlib.import_module("postgres_kit").cluster()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._cluster is not None:
            self._cluster.__exit__()
            importlib.import_module("postgres_kit").cluster.cache_clear()

    def survey(self, statements: dict[str, str]) -> dict[str, list[str]]:
        """Run the suite as it is; answer the tests that use each statement, the quickest first.

        Raises:
            RuntimeError: A test fails.
        """
        told = self._folder / "survey.json"

        def look() -> int:
            survey = _Survey(statements)
            code = _quiet([*self._words, self._suite], [survey])
            told.write_bytes(msgspec.json.encode(survey.told()))
            return code

        pid = self._fork(look)
        code = self._wait(pid, time.monotonic() + _SURVEY_SECONDS)
        found = msgspec.json.decode(told.read_bytes(), type=_Told) if told.exists() else _Told({}, [])
        if code != 0:
            raise RuntimeError(f"without a mutant these tests fail: {found.failed}")
        return found.users

    def each(
        self, works: Sequence[tuple[Any, Sequence[str]]], put: Callable[[Any], None]
    ) -> Iterator[tuple[Any, int | None]]:
        """Run the tests of each mutant in a process of its own; answer the exit code, none if it did not end."""
        running: list[tuple[Any, int, float]] = []
        for mutant, tests in works:

            def run(mutant: Any = mutant, tests: Sequence[str] = tests) -> int:
                put(mutant)
                return _quiet([*self._words, f"--basetemp={self._folder / str(os.getpid())}", *tests], [])

            running.append((mutant, self._fork(run), time.monotonic() + _SECONDS))
            if len(running) == _TOGETHER:
                yield self._first(running)
        while running:
            yield self._first(running)

    def _first(self, running: list[tuple[Any, int, float]]) -> tuple[Any, int | None]:
        mutant, pid, until = running.pop(0)
        code = self._wait(pid, until)
        if self._cluster is not None:
            self._drop(pid)
        shutil.rmtree(self._folder / str(pid), ignore_errors=True)
        return mutant, code

    def _drop(self, pid: int) -> None:
        names = self._cluster.sql("SELECT datname FROM pg_database", "postgres").split()
        mine = [name for name in names if name.startswith(f"db_{pid}_")]
        text = "".join(f"DROP DATABASE {name} WITH (FORCE);\n" for name in mine)
        self._cluster.sql(text, "postgres")

    def _fork(self, work: Callable[[], int]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            os.setpgid(0, 0)
            code = work()
        finally:
            os._exit(code)

    def _wait(self, pid: int, until: float) -> int | None:
        while time.monotonic() < until:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            signal.sigtimedwait([], 0.02)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return None


class _Told(msgspec.Struct):
    users: dict[str, list[str]]
    failed: list[str]


class _Survey:
    """A pytest plugin that notes which test used which statement, and how long it took."""

    def __init__(self, statements: dict[str, str]) -> None:
        self._users: dict[str, set[str]] = {}
        self._seconds: dict[str, float] = {}
        self._failed: list[str] = []
        self._now = ""
        watched = _Watched(statements, self._note)
        for module in list(sys.modules.values()):
            if vars(module).get("SQL") is statements:
                vars(module)["SQL"] = watched

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._now = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self._failed.append(report.nodeid)

    def told(self) -> _Told:
        users = {
            query: sorted(tests, key=lambda test: self._seconds[test]) for query, tests in self._users.items()
        }
        return _Told(users, self._failed)

    def _note(self, query: str) -> None:
        if self._now:
            self._users.setdefault(query, set()).add(self._now)


class _Watched(dict[str, str]):
    """Statements that tell who reads them."""

    def __init__(self, statements: Mapping[str, str], tell: Callable[[str], None]) -> None:
        super().__init__(statements)
        self._tell = tell

    def __getitem__(self, query: str) -> str:
        self._tell(query)
        return super().__getitem__(query)


def _quiet(words: list[str], plugins: list[object]) -> int:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return int(pytest.main(words, plugins=plugins))
