"""An estate: one deployment, its own tenant with an app, and a second tenant with another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bailiwick.app import App, CallRefused, Context
from bailiwick.policy import Principal, Role
from bailiwick.run import Run
from bailiwick.service import IntentRequest
from bailiwick.wiring import Embedded, Settings, embedded

PATIENCE = 30


def vault() -> App:
    """The second tenant's app: a tool, a host and a repository that are nobody else's."""
    app = App("vault")
    app.repository("secrets", seed={"plan.md": "nobody's business\n"})
    app.http("bank.example.com", name="bank", credential="env:NO_SUCH_TOKEN")

    @app.tool("vault.read")
    def read() -> dict[str, str]:
        return {"said": "gold"}

    @app.code_agent("keeper", output={"said": str}, tools=["vault.read", "git.snapshot"])
    async def keeper(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await ctx.tool("git.snapshot", {"repository": "secrets"})
        return await ctx.tool("vault.read@1")

    app.workflow("look", steps=[{"id": "look", "uses": "keeper", "input": {}}])
    return app


def snoop(told: list[str]) -> App:
    """The deployment's own app, whose agent asks for what is another's."""
    app = App("snoop")

    @app.code_agent("snoop", output={"ok": bool}, tools=["git.snapshot"])
    async def ask(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        for name, arguments in (
            ("vault.read", {}),
            ("bank.get", {"url": "https://bank.example.com/"}),
            ("git.snapshot", {"repository": "secrets"}),
        ):
            try:
                await ctx.tool(name, arguments)
                told.append(f"{name}: answered")
            except CallRefused as refused:
                told.append(f"{name}: {refused.category}: {refused.reason}")
        return {"ok": True}

    app.workflow("snoop", steps=[{"id": "snoop", "uses": "snoop", "input": {}}])
    for name in ("vault.read", "bank.get"):
        app.workflow(name.replace(".", "-"), steps=[{"id": "a", "uses": name, "input": {}}])
    return app


class Estate:
    """The deployment `default`, its admin (who is its operator), and the tenant `acme` with its first admin."""

    def __init__(self, system: Embedded, told: list[str]) -> None:
        self.system = system
        self.told = told
        self.secret = ""
        self.operator: Principal
        self.admin: Principal

    async def open(self) -> None:
        keyring = self.system.platform.keyring
        self.operator = keyring.authenticate(self.system.first_key)
        _, _, self.secret = await self.system.platform.tenancy.create(self.operator, "acme")
        self.admin = keyring.authenticate(self.secret)

    async def made(self, by: Principal, name: str, role: Role, **more: Any) -> Principal:
        keyring = self.system.platform.keyring
        _, secret = await keyring.create(by, name=name, role=role, **more)
        return keyring.authenticate(secret)

    async def submit(self, who: Principal, app: str, workflow: str) -> Run:
        return await self.system.platform.submitting.submit(who, IntentRequest(app=app, workflow=workflow))

    async def rested(self, run: Run) -> Run:
        """Wait until a run has ended or stands still."""
        watcher = self.system.platform.streams.watch(run.id)
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    state = (await self.system.platform.runs.entry(run.tenant, run.id)).run
                    if state.closed is not None or state.tally.blocked:
                        return state
                    await watcher.wait(1.0)
        finally:
            self.system.platform.streams.leave(run.id, watcher)


@contextlib.asynccontextmanager
async def estate(folder: Path, **settings: Any) -> AsyncIterator[Estate]:
    told: list[str] = []
    given: dict[str, Any] = {"app_tenants": {"vault": "acme"}, **settings}
    async with embedded(Settings(data_dir=str(folder), **given), [vault(), snoop(told)]) as system:
        opened = Estate(system, told)
        await opened.open()
        yield opened
