"""The handle: what an agent's code holds to act in the world; each call goes through the gate."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from bailiwick.app import CallRefused, OutputUnknown, Parking
from bailiwick.base import Instant, LeaseLost, canonical
from bailiwick.budget import input_token_bound
from bailiwick.contract import ErrorCategory
from bailiwick.ports import (
    Assignment,
    Dispatch,
    Fenced,
    Frame,
    Message,
    ModelReply,
    ModelRequest,
    Parked,
    Proposal,
    Recorded,
    SessionLost,
    ToolSpec,
    WorkerPort,
    World,
)
from bailiwick.worker.executor import Executor
from bailiwick.worker.insisting import insist
from bailiwick.worker.leash import Leash
from bailiwick.worker.wire import Chain, reply_of

FLUSH_SECONDS = 0.05
MAX_UNREAD = 2_000


class Handle:
    """Implements `app.Context` for one attempt of one step.

    `tree` is the workspace after the calls so far; `parked` says why no call is possible any more; `gone` says that
    the step is no longer this worker's to report on; `over` is the refusal by which a call heard that the whole session
    is over; `soft_limit` says that the agent should finish.
    """

    def __init__(
        self,
        *,
        port: WorkerPort,
        session: str,
        assignment: Assignment,
        executor: Executor,
        world: World,
        leash: Leash,
    ) -> None:
        self._port = port
        self._session = session
        self.assignment = assignment
        self._executor = executor
        self._world = world
        self.leash = leash
        self.tree = assignment.tree
        self.parked: str | None = None
        self.gone = False
        self.over: SessionLost | None = None
        self.soft_limit = False
        self._asked: dict[ErrorCategory, float] = {}
        self._seen: Counter[bytes] = Counter()
        self._chain = Chain()
        self._frames: list[Frame] = []
        self._flusher: asyncio.Task[None] | None = None
        self._going: set[asyncio.Task[Recorded]] = set()

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
        try:
            proposal = self._proposal(capability, given, key=key)
        except TypeError as error:
            proposal = self._unread(capability, repr(given), f"the arguments are not JSON: {error}")
        recorded = await self._call(proposal, None)
        if recorded.tree:
            self.tree = recorded.tree
        return _outcome(capability, recorded)

    async def unread(self, capability: str, text: str, reason: str) -> None:
        """Have it noted that the arguments of a call could not be read.

        Raises:
            CallRefused: Always, with the reason.
        """
        _outcome(capability, await self._call(self._unread(capability, text, reason), None))

    async def model(
        self,
        model: str,
        messages: list[Message],
        *,
        tools: tuple[ToolSpec, ...] = (),
        output_schema: dict[str, Any] | None = None,
        max_output_tokens: int = 4096,
        pinned: bool = False,
    ) -> ModelReply:
        """See `Context.model`; `pinned` says that the run holds on to this model, whatever apps name now."""
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
            pinned=pinned,
        )
        bound = input_token_bound(request.texts())
        proposal = self._proposal(f"model:{model}", arguments, input_tokens=bound)
        recorded = await self._call(proposal, request)
        return reply_of(_outcome(f"model:{model}", recorded))

    def say(self, text: str) -> None:
        """See `Context.say`."""
        self._frame("", {"type": "text", "text": text})

    def retry_after(self, category: ErrorCategory) -> float | None:
        """Tell how many seconds the other side of a failed call of this category asked to wait."""
        return self._asked.get(category)

    def sink(self, key: str) -> Callable[[dict[str, Any]], None]:
        """Make the sink of one call's live output; sent in small batches, never waited for."""
        return lambda body: self._frame(key, body)

    def _frame(self, key: str, body: dict[str, Any]) -> None:
        now = Instant(self._world.now())
        self._frames.append(Frame(self.run, self.step, self.assignment.epoch, key, now, body))
        if self._flusher is None:
            self._flusher = asyncio.ensure_future(self._flush())

    async def _flush(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._flusher = None
        await self._send()

    async def _send(self) -> None:
        frames, self._frames = tuple(self._frames), []
        if frames:
            await self._port.frames(self._session, frames)

    async def drain(self) -> None:
        """Wait until every call on its way has its outcome recorded, those too that the agent gave up on."""
        while self._going:
            await asyncio.wait(self._going)

    async def close(self, *, abandon: bool = False) -> None:
        """Let nothing more begin, and send what is left of the live output; calls on their way may be abandoned."""
        if self.parked is None:
            self.parked = "the attempt has ended"
        for call in tuple(self._going) if abandon else ():
            call.cancel()
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None
        await self._send()

    def _proposal(
        self, capability: str, arguments: dict[str, Any], *, key: str = "", input_tokens: int = 0
    ) -> Proposal:
        # Versions count together: two ranges may mean one version, and their calls are then the same.
        same = capability.partition("@")[0].encode() + b"\0" + canonical(arguments)
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

    def _unread(self, capability: str, text: str, reason: str) -> Proposal:
        shown = text[:MAX_UNREAD].encode(errors="replace").decode()
        return replace(self._proposal(capability, {"text": shown}), unread=reason[:MAX_UNREAD])

    async def _call(self, proposal: Proposal, request: ModelRequest | None) -> Recorded:
        """Bring a call to its recorded outcome, also when the agent stops waiting for it."""
        call = asyncio.ensure_future(self._ask(proposal, request))
        self._going.add(call)
        call.add_done_callback(self._ended)
        return await asyncio.shield(call)

    def _ended(self, call: asyncio.Task[Recorded]) -> None:
        self._going.discard(call)
        if not call.cancelled():
            call.exception()  # looked at, so that asyncio does not report what nobody waited for

    async def _ask(self, proposal: Proposal, request: ModelRequest | None) -> Recorded:
        while True:
            if self.parked is not None:
                raise Parking(self.parked)
            if self.leash.ended:
                raise self._park(self.leash.reason, gone=False)
            recorded = await self._answer(proposal, request)
            if recorded.state == "lost":
                continue
            if recorded.state == "intended":
                await self._pause(recorded.pause_seconds)
                continue
            self.soft_limit = self.soft_limit or recorded.soft_limit
            if recorded.state == "unknown":
                raise self._park("outcome unknown", gone=True)
            if recorded.state == "canceled" and self.leash.ended:
                raise self._park(self.leash.reason, gone=False)
            return recorded

    async def _pause(self, seconds: float) -> None:
        """Wait until an effect in doubt may be sent again; a stop of calls that came meanwhile is the gate's to repeat."""
        stop = self.leash.stop
        try:
            async with asyncio.timeout(seconds):
                await self.leash.wait()
        except TimeoutError:
            if stop.requested:
                self.leash.renew(stop)

    async def _answer(self, proposal: Proposal, request: ModelRequest | None) -> Recorded:
        # One name for one asking, however often it must be said: a lost answer is given again.
        proposal = replace(proposal, ask=self._world.new_id("ask"))
        try:
            match await insist(lambda: self._port.act(self._session, proposal)):
                case Parked(reason=reason, canceled=True):
                    self.leash.pull("cancel", reason)
                    raise self._park(reason, gone=False)
                case Parked(reason=reason):
                    raise self._park(reason, gone=True)
                case Recorded() as recorded:
                    return recorded
                case Dispatch() as dispatch:
                    return await self._execute(dispatch, request)
        except (LeaseLost, SessionLost, Fenced) as lost:
            if isinstance(lost, SessionLost):
                self.over = lost
            raise self._park(lost.message, gone=True) from lost

    async def _execute(self, dispatch: Dispatch, request: ModelRequest | None) -> Recorded:
        stop = self.leash.stop
        outcome = await self._executor.execute(dispatch, request, self.sink(dispatch.key), stop)
        if outcome.retry_after is not None and outcome.category is not None:
            self._asked[outcome.category] = outcome.retry_after
        if outcome.state == "lost":
            self.leash.renew(stop)
        await self._send()
        return await insist(lambda: self._port.settle(self._session, outcome))

    def _park(self, reason: str, *, gone: bool) -> Parking:
        if self.parked is None:
            self.parked = reason
        self.gone = self.gone or gone
        return Parking(reason)


def _outcome(capability: str, recorded: Recorded) -> Any:
    if recorded.state != "done":
        category = str(recorded.category or "internal")
        raise CallRefused(capability, recorded.state, category, recorded.reason)
    if recorded.unanswered:
        raise OutputUnknown(capability, recorded.reason)
    return recorded.outcome
