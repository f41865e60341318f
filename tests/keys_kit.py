"""A deployment whose keys get lost: what it recorded before, and how it is opened afterwards."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from bailiwick.app import App
from bailiwick.audit import Report, verify_export
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.service import IntentRequest, RunDetail
from bailiwick.wiring import Embedded, Settings, embedded
from postgres_kit import cluster, lent_database
from store_choice import POSTGRES, SQLITE

ADMIN = Principal("usr_root", "root", PrincipalKind.USER, "default", Role.ADMIN)
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def greeting() -> App:
    app = App("greet", tenant="*")

    @app.code_agent("greet", output={"text": str}, input=TEXT)
    async def greet(ctx: object, given: dict[str, str]) -> dict[str, str]:
        return {"text": "hello " + given["text"]}

    app.workflow("greet", steps=[{"id": "work", "uses": "greet", "input": {"text": "$.intent.input.text"}}])
    return app


class Deployment(msgspec.Struct):
    """A data directory, and the PostgreSQL that belongs to it (empty: SQLite)."""

    folder: Path
    store: str
    run: str = ""
    secret: str = ""
    vkey: str = ""

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=str(self.folder), store=self.store)

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def another_host(self, folder: Path) -> "Deployment":
        """Another data directory with the same database."""
        return msgspec.structs.replace(self, folder=folder)

    async def begin(self) -> "Deployment":
        """Do a run, and keep what is needed to know the deployment again."""
        async with embedded(self.settings, [greeting()]) as system:
            self.secret = system.first_key
            (self.folder / "cli.key").write_text(f"{self.secret}\n")
            self.run = await done_run(system)
            await system.platform.sequencing.checkpoint(ADMIN)
            self.vkey = system.platform.sequencing.signer.vkey
        return self

    async def look(self) -> tuple[RunDetail, Report]:
        """Open it and find all again: the run with its plan, the admin by the key, the log by its signatures."""
        async with embedded(self.settings, [greeting()]) as system:
            assert system.first_key == ""
            assert system.platform.keyring.authenticate(self.secret).role is Role.ADMIN
            detail = await system.platform.reading.detail(ADMIN, self.run)
            files = await system.platform.sequencing.export(ADMIN)
        return detail, verify_export(files, trusted=[self.vkey])

    def recorded(self) -> list[str]:
        """Read the fingerprints, as lines."""
        if self.store:
            return (
                cluster()
                .sql("SELECT name || ' ' || value FROM fingerprints ORDER BY 1", self.store)
                .splitlines()
            )
        sql = "SELECT name || ' ' || value FROM fingerprints ORDER BY 1"
        return [row[0] for row in apsw.Connection(str(self.folder / "ledger.db")).execute(sql)]

    def forget(self) -> None:
        """Let the ledger be older than fingerprints."""
        self.edit("DELETE FROM fingerprints")

    def edit(self, sql: str) -> None:
        if self.store:
            cluster().sql(sql, self.store)
        else:
            apsw.Connection(str(self.folder / "ledger.db")).execute(sql)

    def kept(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.keys.glob("*") if path.is_file()}


async def done_run(system: Embedded, who: Principal = ADMIN) -> str:
    ended: asyncio.Queue[str] = asyncio.Queue()
    system.platform.observers.append(lambda _, after, __: after.closed and ended.put_nowait(after.id))
    request = IntentRequest(app="greet", workflow="greet", input={"text": "x"})
    run = await system.platform.submitting.submit(who, request)
    await asyncio.wait_for(ended.get(), 30)
    return run.id


@pytest.fixture(params=[SQLITE, POSTGRES])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on each store."""
    if request.param == SQLITE:
        yield Deployment(tmp_path / "data", "")
        return
    with lent_database() as url:
        yield Deployment(tmp_path / "data", url)
