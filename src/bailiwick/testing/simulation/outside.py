"""The systems that tools change: what arrived there, for each logical action, and how calls get lost on the way."""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from contextvars import Context

import msgspec

from bailiwick.contract import Contract
from bailiwick.ports import Blobs, FrameSink, Stop, ToolCall, ToolResult
from bailiwick.testing.simulation.faults import Fault, Faults, Point, Strike
from bailiwick.testing.simulation.loop import SimLoop
from bailiwick.testing.simulation.shop import EXTERNAL, WRITE, contracts
from bailiwick.tools import FileTools, Implementation, Redactor, Tool, Tools, Workspaces

LATEST_SECONDS = 200.0
"""No request is on its way for longer."""


class Arrival(msgspec.Struct, frozen=True):
    """A request that came in: for which effect key, when, and when it was sent."""

    key: str
    run: str
    at: float
    sent: float


class Outside:
    """What the tools' other sides did, by (tool, text): the text names one logical action.

    An idempotent tool keeps keys for ever: a second request with one key changes nothing. `history` lists
    what changed, in order: (run, tool, text); `files` what each call wrote into its workspace: (path, digest).
    """

    def __init__(
        self, loop: SimLoop, faults: Faults, at: Callable[[Point], Awaitable[Strike | None]], seed: int
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._at = at
        self._random = random.Random(f"outside {seed}")  # noqa: S311  # latencies, not secrets
        self.arrivals: dict[tuple[str, str], list[Arrival]] = {}
        self.effects: dict[tuple[str, str], dict[str, int]] = {}
        self.history: list[tuple[str, str, str]] = []
        self.files: dict[str, tuple[str, str]] = {}
        self.on_the_way = 0
        self.on_arrival: Callable[[str, str, float], None] | None = None

    def host(self, blobs: Blobs) -> Tools:
        """Make a tool host for one worker."""
        files = [
            Tool(tool.contract, functools.partial(self._file, tool.run))
            for tool in FileTools(Workspaces(blobs)).tools()
            if tool.contract.name == WRITE
        ]
        own = [Tool(contract, functools.partial(self._run, contract)) for contract in contracts()]
        return Tools(
            [*own, *files],
            blobs=blobs,
            redactor=Redactor(),
        )

    async def _run(self, contract: Contract, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        tool = contract.name.removeprefix("sim.")
        if tool == "mailed":
            await asyncio.sleep(self._random.random() * 0.2)
            return ToolResult(self._looked_up(call.arguments["key"]))
        sent = self._loop.time()
        strike = await self._at(Point.CALL)
        if strike is not None and strike.fault is Fault.REQUEST_LOST:
            await asyncio.Event().wait()
        if strike is not None and strike.fault is Fault.LATE:
            self.on_the_way += 1
            late = 5 + strike.chance * (LATEST_SECONDS - 5)
            self._loop.call_later(late, self._late, tool, call, sent, context=Context())
            await asyncio.Event().wait()
        await asyncio.sleep(self._random.random() * 0.2)
        self._arrive(tool, call, sent)
        strike = await self._at(Point.RESULT)
        if strike is not None and strike.fault is Fault.REPLY_LOST:
            await asyncio.Event().wait()
        await asyncio.sleep(self._random.random() * (8 if self._random.random() < 0.1 else 0.3))
        return ToolResult({"said": call.arguments["text"]})

    async def _file(self, write: Implementation, call: ToolCall, sink: FrameSink, stop: Stop) -> ToolResult:
        """Write a file of a workspace, some of them slowly; what each call wrote is remembered by its key."""
        await asyncio.sleep(self._random.random() * 0.3)
        result = await write(call, sink, stop)
        await asyncio.sleep(self._random.random() * 0.3)
        self.files[call.key] = (str(call.arguments["path"]), str(result.output["digest"]))
        return result

    def _looked_up(self, key: str) -> dict[str, object]:
        if not self.landed(key):
            return {"answer": "not-applied"}
        return {"answer": "applied", "reference": key, "output": {"said": "found"}}

    def _late(self, tool: str, call: ToolCall, sent: float) -> None:
        self.on_the_way -= 1
        self._arrive(tool, call, sent)

    def _arrive(self, tool: str, call: ToolCall, sent: float) -> None:
        action = (tool, str(call.arguments["text"]))
        arrival = Arrival(call.key, call.run, self._loop.time(), sent)
        if self.on_arrival is not None:
            self.on_arrival(tool, call.key, arrival.at)
        self.arrivals.setdefault(action, []).append(arrival)
        effects = self.effects.setdefault(action, {})
        if tool in EXTERNAL or call.key not in effects:
            effects[call.key] = effects.get(call.key, 0) + 1
            self.history.append((call.run, *action))

    def landed(self, key: str) -> bool:
        """Whether anything arrived under an effect's key; what a person finds out by looking."""
        return any(key in effects for effects in self.effects.values())
