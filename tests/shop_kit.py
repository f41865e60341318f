"""A shop for tests: an app with tools of all four classes whose effects lie outside, and agents a test writes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bailiwick.app import App, Context

Agent = Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any]]]

POLICIES = {
    "shop.cedar": """
@id("shop.mail")
@reason("mail may be sent by whoever declares it")
permit (principal, action == Action::"tool.call", resource)
when { context.declared && ["shop.mail", "shop.pay", "shop.wire"].contains(resource.name) };

@id("shop.pay-approved")
@reason("a payment needs a payer")
@require_approval("payers")
@approval_ttl("PT1H")
forbid (principal, action == Action::"tool.call", resource)
when { ["shop.pay", "shop.sign"].contains(resource.name) }
unless { context.approvals.contains("payers") };

@id("shop.never")
@reason("this is never done")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "shop.never" };
""",
}


class Outside:
    """The world that tools change: what arrived there, by tool and key, and doors that can be held shut."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.effects: dict[str, str] = {}
        self.doors: dict[str, asyncio.Event] = {}
        self.entered: dict[str, asyncio.Event] = {}

    def shut(self, tool: str) -> asyncio.Event:
        """Let calls of a tool wait inside until the door is opened; answers the event that one has entered."""
        self.doors[tool] = asyncio.Event()
        self.entered[tool] = asyncio.Event()
        return self.entered[tool]

    async def arrive(self, tool: str, text: str, key: str = "") -> None:
        if tool in self.doors:
            self.entered[tool].set()
            await self.doors[tool].wait()
        self.calls.append((tool, text))
        if key:
            self.effects.setdefault(key, text)

    def count(self, tool: str) -> int:
        return sum(1 for name, _ in self.calls if name == tool)


class Shop:
    """An app with tools of all four classes, and code agents whose code a test gives."""

    def __init__(
        self, name: str = "shop", model: str = "scripted:plain", outside: Outside | None = None
    ) -> None:
        self.app = App(name, model=model)
        self.outside = outside if outside is not None else Outside()
        self.scripts: dict[str, Agent] = {}
        self._tools()
        names = ["read", "slow", "quote", "write", "mail", "pay", "sign", "never", "fragile", "wire"]
        self.tools = [f"shop.{each}" for each in names]
        for agent in ("clerk", "other", "third"):
            self._agent(agent)

    def _agent(self, name: str) -> None:
        async def code(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
            return await self.scripts[name](ctx, given)

        self.app.agent(name, output={"type": "object"}, run=code, tools=[*self.tools, "files.write"])

    def _tools(self) -> None:
        outside, tool = self.outside, self.app.tool

        @tool("shop.read", effect="read-only")
        async def read(text: str) -> dict[str, str]:
            await outside.arrive("read", text)
            return {"said": text}

        @tool("shop.slow", effect="read-only")
        async def slow(text: str) -> dict[str, str]:
            await outside.arrive("slow", text)
            return {"said": text}

        @tool("shop.quote", effect="metered", price_micro_usd=500)
        async def quote(text: str) -> dict[str, str]:
            await outside.arrive("quote", text)
            return {"said": text}

        @tool("shop.dear", effect="metered", price_micro_usd=200_000)
        async def dear(text: str) -> dict[str, str]:
            await outside.arrive("dear", text)
            return {"said": text}

        @tool("shop.write", effect="idempotent-write")
        async def write(text: str, key: str) -> dict[str, str]:
            await outside.arrive("write", text, key)
            return {"said": text}

        @tool("shop.sign", effect="idempotent-write")
        async def sign(text: str, key: str) -> dict[str, str]:
            await outside.arrive("sign", text, key)
            return {"said": text}

        @tool("shop.mail", effect="external-action", failure_modes=("timeout",))
        async def mail(text: str) -> dict[str, str]:
            await outside.arrive("mail", text)
            return {"said": text}

        @tool("shop.pay", effect="external-action", failure_modes=("timeout",))
        async def pay(text: str) -> dict[str, str]:
            await outside.arrive("pay", text)
            return {"said": text}

        @tool("shop.wire", effect="external-action", failure_modes=("timeout",), price_micro_usd=300)
        async def wire(text: str) -> dict[str, str]:
            await outside.arrive("wire", text)
            return {"said": text}

        @tool("shop.never", effect="read-only")
        async def never(text: str) -> dict[str, str]:
            await outside.arrive("never", text)
            return {"said": text}

        @tool("shop.fragile", effect="read-only")
        async def fragile(text: str) -> dict[str, str]:
            await outside.arrive("fragile", text)
            raise ValueError(text)

        @tool("shop.undeclared", effect="read-only")
        async def undeclared(text: str) -> dict[str, str]:
            await outside.arrive("undeclared", text)
            return {"said": text}

    def workflow(self, *steps: Any, name: str = "job", **fields: Any) -> None:
        listed = steps or ({"id": "work", "uses": "clerk", "input": {}},)
        self.app.workflow(name, steps=list(listed), **fields)
