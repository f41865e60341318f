"""The handle: what an agent's code holds to act in the world; each call goes through the gate."""

import asyncio
from collections import Counter
from typing import Any

import msgspec

from bailiwick.app import CallRefused, Parking
from bailiwick.base import Instant, canonical
from bailiwick.budget import input_token_bound
from bailiwick.ports import (
    Assignment,
    Dispatch,
    Frame,
    Message,
    ModelReply,
    ModelRequest,
    Parked,
    Proposal,
    Recorded,
    Stop,
    ToolSpec,
    WorkerPort,
    World,
)
from bailiwick.worker.executor import Executor
from bailiwick.worker.wire import Chain, reply_of

FLUSH_SECONDS = 0.05


class Handle:
    """Implements `app.Context` for one attempt of one step."""

    def __init__(
        self,
        *,
        port: WorkerPort,
        session: str,
        assignment: Assignment,
        executor: Executor,
        world: World,
        stop: Stop,
    ) -> None:
        self._port = port
        self._session = session
        self.assignment = assignment
        self._executor = executor
        self._world = world
        self.stop = stop
        self.tree = assignment.tree
        self._seen: Counter[bytes] = Counter()
        self._chain = Chain()
        self._frames: list[Frame] = []
        self._flusher: asyncio.Task[None] | None = None
        self._key = ""

    @property
    def run(self) -> str:
        """The run's id."""
        return self.assignment.run

    @property
    def step(self) -> str:
        """The step instance."""
        return self.assignment.step

    @property
    def feedback(self) -> str:
        """Why the attempt before this one failed."""
        return self.assignment.feedback

    async def tool(self, capability: str, arguments: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """See `Context.tool`."""
        given = arguments if arguments is not None else {}
        recorded = await self._ask(self._proposal(capability, given, key=key), None)
        if recorded.tree:
            self.tree = recorded.tree
        return self._outcome(capability, recorded)

    async def model(
        self,
        model: str,
        messages: list[Message],
        *,
        tools: tuple[ToolSpec, ...] = (),
        output_schema: dict[str, Any] | None = None,
        max_output_tokens: int = 4096,
    ) -> ModelReply:
        """See `Context.model`."""
        previous, new = self._chain.extend(tuple(messages))
        parameters: dict[str, Any] = {
            "max_output_tokens": max_output_tokens,
            "tools": [tool.name for tool in tools],
        }
        if output_schema is not None:
            parameters["output_schema"] = output_schema
        arguments = {"model": model, "parameters": parameters, "previous": previous, "messages": new}
        request = ModelRequest(
            model=model,
            messages=tuple(messages),
            tools=tools,
            output_schema=output_schema,
            max_output_tokens=max_output_tokens,
            traceparent=self.assignment.traceparent,
        )
        bound = input_token_bound(request.texts())
        proposal = self._proposal(f"model:{model}", arguments, input_tokens=bound)
        recorded = await self._ask(proposal, request)
        return reply_of(self._outcome(f"model:{model}", recorded))

    def say(self, text: str) -> None:
        """See `Context.say`."""
        self.sink({"type": "text", "text": text})

    def sink(self, body: dict[str, Any]) -> None:
        """Take one frame of live output; sent in small batches, never waited for."""
        now = Instant(self._world.now())
        self._frames.append(Frame(self.run, self.step, self.assignment.epoch, self._key, now, body))
        if self._flusher is None:
            self._flusher = asyncio.ensure_future(self._flush())

    async def _flush(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        await self.close()

    async def close(self) -> None:
        """Send what is left of the live output."""
        frames, self._frames, self._flusher = tuple(self._frames), [], None
        if frames:
            await self._port.frames(self._session, frames)

    def _proposal(
        self, capability: str, arguments: dict[str, Any], *, key: str = "", input_tokens: int = 0
    ) -> Proposal:
        same = capability.encode() + b"\0" + canonical(arguments)
        self._seen[same] += 1
        return Proposal(
            tenant=self.assignment.tenant,
            run=self.run,
            step=self.step,
            epoch=self.assignment.epoch,
            capability=capability,
            arguments=arguments,
            n=self._seen[same],
            key=key,
            input_tokens=input_tokens,
        )

    async def _ask(self, proposal: Proposal, request: ModelRequest | None) -> Recorded:
        while True:
            if self.stop.requested and not self.stop.reason.startswith("halt"):
                raise Parking(self.stop.reason)
            match await self._port.act(self._session, proposal):
                case Parked(reason=reason):
                    raise Parking(reason)
                case Recorded() as recorded:
                    return recorded
                case Dispatch() as dispatch:
                    recorded = await self._execute(dispatch, request)
                    if recorded.state not in ("lost",):
                        return recorded

    async def _execute(self, dispatch: Dispatch, request: ModelRequest | None) -> Recorded:
        self._key = dispatch.key
        outcome = await self._executor.execute(dispatch, request, self.sink, self.stop)
        self._key = ""
        await self.close()
        recorded = await self._port.settle(self._session, outcome)
        if recorded.state in ("unknown", "canceled"):
            raise Parking(recorded.reason or recorded.state)
        return recorded

    def _outcome(self, capability: str, recorded: Recorded) -> Any:
        if recorded.state != "done":
            category = str(recorded.category or "internal")
            raise CallRefused(capability, recorded.state, category, recorded.reason)
        return recorded.outcome
