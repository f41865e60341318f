"""A real platform with one small app, its keys, and clients that speak to its door."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import httpx2
import uvicorn
from fastapi import FastAPI

from bailiwick.app import App, Context
from bailiwick.http import Limits, connection_class, create_app
from bailiwick.keeper import keep
from bailiwick.policy import Role
from bailiwick.sandbox import BubblewrapSandbox
from bailiwick.telemetry import MeasuredLedger, MeasuredPort, Metrics
from bailiwick.wiring import Embedded, build, load_settings
from postgres_kit import cluster

TERMINAL = ("completed", "failed", "canceled", "rolled-back")
HOLD = """
@id("shop.ship-approved")
@reason("shipping needs a shipper")
@require_approval("shippers")
@approval_ttl("PT1H")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "shop.ship" }
unless { context.approvals.contains("shippers") };
"""


def shop(house: "House", hold: str) -> App:
    """An app of code agents: one that answers at once, one that talks and waits, and a write that is held."""
    app = App("shop", tenant="*")

    @app.code_agent("noter", output={"text": str, "said": str})
    async def note(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return {"text": given["text"], "said": ctx.step}

    @app.code_agent("talker", output={"lines": int})
    async def talk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        ctx.say("first line")
        house.talking.set()
        await house.hush.wait()
        ctx.say("last \u2028 line\n")
        return {"lines": 2}

    @app.tool("shop.ship", effect="idempotent-write")
    def ship(item: str, key: str) -> dict[str, str]:
        house.shipped.append(key)
        return {"item": item}

    @app.tool("shop.look", effect="metered")
    def look() -> dict[str, int]:
        return {"hats": len(house.shipped)}

    @app.code_agent("looker", output={"hats": int}, tools=["shop.look"])
    async def seek(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.look@1")

    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    wanted = {"text": "$.intent.input.text"}
    app.workflow("note", input=text, steps=[{"id": "note", "uses": "noter", "input": wanted}])
    # Step ids must differ, and each step is at least one event: a stream long enough to be cut in many places.
    chain = [{"id": f"note{at}", "uses": "noter", "input": wanted} for at in range(8)]
    app.workflow("chain", input=text, steps=chain)
    app.workflow("talk", steps=[{"id": "talk", "uses": "talker", "input": {}}])
    app.workflow("look", steps=[{"id": "look", "uses": "looker", "input": {}}])
    app.workflow("ship", steps=[{"id": "ship", "uses": "shop.ship", "input": {"item": "hat"}}])
    app.policy("shop.cedar", hold)
    return app


class House:
    """The platform with its worker and keeper, its door, and a key of every role in two tenants."""

    def __init__(self, folder: Path, store: str = "", hold: str = HOLD) -> None:
        self.folder = folder
        self.store = store  # the URL of a PostgreSQL; empty: SQLite
        self.hold = hold
        self.talking = asyncio.Event()
        self.hush = asyncio.Event()
        self.shipped: list[str] = []
        self.ready = True
        self.metrics = Metrics()
        self.keys: dict[str, str] = {}
        self.system: Embedded
        self.app: FastAPI

    @property
    def platform(self):
        return self.system.platform

    async def readiness(self) -> dict[str, str]:
        return {"store": "", "worker": "" if self.ready else "it rests"}

    def door(self, limits: Limits | None = None) -> FastAPI:
        return create_app(
            self.platform,
            readiness=self.readiness,
            meter=self.metrics,
            version="0.1.0",
            limits=limits,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator["House"]:
        app = shop(self, self.hold)
        settings = load_settings(data_dir=str(self.folder / "data"), store=self.store, tenant="home")
        self.system = await build(settings, [app], BubblewrapSandbox(self.folder / "cache"))
        self.platform.runs.ledger = MeasuredLedger(self.system.store.ledger, self.metrics)
        self.platform.observers.append(self.metrics.committed)
        await self.platform.start()
        for role in Role:
            self.keys[role] = await self._key("home", role)
        self.keys["foreign"] = await self._key("abroad", Role.ADMIN)
        self.app = self.door()
        worker = self.system.worker([app], MeasuredPort(self.platform, self.metrics), "house")
        tasks = [asyncio.create_task(keep(self.system.duties())), asyncio.create_task(worker.run())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.system.store.close()

    def edit(self, sql: str) -> None:
        """Edit the ledger behind the platform's back, as whoever holds the database can."""
        if self.store:
            cluster().sql(sql, self.store)
            return
        with contextlib.closing(apsw.Connection(str(self.folder / "data" / "ledger.db"))) as database:
            database.execute(sql)

    async def _key(self, tenant: str, role: Role) -> str:
        groups = ("shippers",)
        _, secret = await self.platform.keyring.issue(
            tenant, name=f"{tenant}-{role}", role=role, groups=groups, by="test"
        )
        return secret

    def client(self, key: str = "admin", app: FastAPI | None = None) -> httpx2.AsyncClient:
        """A client in this process with the key of a role; empty: without a key."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        transport = httpx2.ASGITransport(app if app is not None else self.app)
        return httpx2.AsyncClient(transport=transport, base_url="http://door", headers=headers)

    async def submit(
        self, workflow: str = "note", key: str = "k", role: str = "operator", **more: Any
    ) -> str:
        body = {"app": "shop", "workflow": workflow, **more}
        if workflow in ("note", "chain"):
            body.setdefault("input", {"text": "hello"})
        async with self.client(role) as client:
            answer = await client.post("/v1/runs", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def until(self, run: str, done: Callable[[str], bool], tenant: str = "home") -> str:
        """Wait, by the platform's own wake-ups, until the run's status is what is wanted."""
        watcher = self.platform.streams.watch(run)
        try:
            async with asyncio.timeout(20):
                while True:
                    head = await self.system.store.views.run(tenant, run)
                    if head is not None and done(head.status):
                        return head.status
                    await watcher.wait(1.0)
        finally:
            self.platform.streams.leave(run, watcher)

    async def ended(self, run: str) -> str:
        return await self.until(run, lambda status: status in TERMINAL)

    async def approve(self, approval: str, role: str = "approver") -> None:
        """Look at a request and approve what is shown."""
        async with self.client(role) as client:
            digest = (await client.get(f"/v1/approvals/{approval}")).json()["approval"]["digest"]
            answer = await client.post(f"/v1/approvals/{approval}:approve", json={"digest": digest})
        assert answer.status_code == 200, answer.text

    async def held(self) -> tuple[str, str]:
        """Submit a run whose write is held; answer run and approval."""
        run = await self.submit("ship", key="held")
        await self.until(run, lambda status: status == "waiting-for-approval")
        async with self.client() as client:
            listed = (await client.get("/v1/approvals", params={"run": run})).json()["approvals"]
        assert len(listed) == 1
        return run, listed[0]["id"]


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """Serve on a loopback port, as wiring does; yields the port."""
    options: dict[str, Any] = {"http": connection_class(app.state.limits)}
    options |= {
        "timeout_keep_alive": 1,
        "log_config": None,
        "access_log": False,
        "lifespan": "off",
        "ws": "none",
    }
    server = uvicorn.Server(uvicorn.Config(app, port=0, timeout_graceful_shutdown=5, **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Hold an answer to the one shape that every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert list(problem) == [
        "type", "title", "status", "detail", "instance", "code", "facts", "remedy", "trace_id", "errors",
    ]  # fmt: skip
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["type"] == f"urn:bailiwick:problem:{code}"
    assert problem["remedy"]
    assert answer.headers["traceparent"].split("-")[1] == problem["trace_id"]
    assert "Traceback" not in answer.text
    return problem


def parse_sse(text: str) -> list[dict[str, Any]]:
    """Read complete SSE events; comments are left out."""
    events = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            fields["data"] = json.loads(fields["data"])
            events.append(fields)
    return events
