"""The wire between a worker and the platform: numbered requests, one answer each, over a network that loses and repeats.

A request is sent again until it is answered. The platform's side does each number once and gives a repeat the
same answer. A worker that gets no answer for long takes its session for lost.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.ports import (
    Assignment,
    Dispatch,
    Frame,
    Hello,
    Notice,
    Outcome,
    Parked,
    Proposal,
    Recorded,
    Report,
    Session,
    SessionLost,
)
from bailiwick.service import Platform
from bailiwick.testing.simulation.faults import Fault, Faults, Point
from bailiwick.testing.simulation.loop import Life, SimLoop

ANSWER_SECONDS = 4.0
TRIES = 4
_Answer = tuple[bool, Any]
"""Whether it is an answer, and the answer's bytes or the refusal."""


class Unanswered(Refusal):
    """The platform did not answer; whether it did what it was asked is not known."""

    code = "unanswered"
    category = Category.UNAVAILABLE

    def __init__(self, method: str) -> None:
        super().__init__(f"no answer to {method}", remedy="ask again", method=method)


class Server(Protocol):
    """A replica of the control plane, as its callers see it."""

    life: Life
    answers: dict[tuple[int, int], "asyncio.Future[_Answer]"]
    platform: Platform | None
    refusals: Counter[str]

    def broke(self, what: str, error: BaseException) -> None:
        """Take note of an error that no caller can act on."""
        ...

    def handed(self, answer: Any) -> None:
        """Take note of what a worker is about to be told."""
        ...


class Network:
    """Carries messages between lives; each may be lost, late or doubled."""

    def __init__(
        self, loop: SimLoop, faults: Faults, strike: Callable[[Life, float, Fault], bool], seed: int
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._strike = strike
        self._random = random.Random(f"network {seed}")  # noqa: S311  # latencies, not secrets

    def send(self, point: Point, source: Life, target: Life, deliver: Callable[[], None]) -> None:
        """Send a message; what arrives runs in the target's life, if it still lives."""
        strike = self._faults.at(point)
        delay = 0.001 + self._random.random() * 0.02
        copies = 1
        if strike is not None:
            if self._strike(source, strike.chance, strike.fault):
                return
            match strike.fault:
                case Fault.REQUEST_LOST | Fault.REPLY_LOST:
                    return
                case Fault.LATE:
                    delay += 1 + strike.chance * 199
                case Fault.DUPLICATE:
                    copies = 2
        for copy in range(copies):
            self._loop.call_later(
                delay * (1 + copy * 40 * self._random.random()), deliver, context=target.context
            )


class RemotePort:
    """Implements `ports.WorkerPort` for a worker in another process."""

    def __init__(
        self, *, loop: SimLoop, network: Network, servers: list[Any], caller: int, home: int
    ) -> None:
        self._loop = loop
        self._network = network
        self._servers = servers
        self._caller = caller
        self._home = home
        self._number = 0
        self._life: Life
        self.session = ""

    def live(self, life: Life) -> None:
        """Say whose port it is."""
        self._life = life

    async def hello(self, hello: Hello) -> Session:
        """See `WorkerPort.hello`; a replica that does not answer is left for the next one."""
        try:
            opened: Session = await self._ask("hello", Session, 0.0, msgspec.json.encode(hello))
        except Unanswered:
            self._home = (self._home + 1) % len(self._servers)
            raise
        self.session = opened.id
        return opened

    async def heartbeat(self, session: str, wait_seconds: float) -> tuple[Notice, ...]:
        """See `WorkerPort.heartbeat`."""
        answer: tuple[Notice, ...] = await self._asked(
            session, "heartbeat", tuple[Notice, ...], wait_seconds, session, wait_seconds
        )
        return answer

    async def claim(self, session: str, limit: int, wait_seconds: float) -> tuple[Assignment, ...]:
        """See `WorkerPort.claim`."""
        answer: tuple[Assignment, ...] = await self._asked(
            session, "claim", tuple[Assignment, ...], wait_seconds, session, limit, wait_seconds
        )
        return answer

    async def act(self, session: str, proposal: Proposal) -> Dispatch | Recorded | Parked:
        """See `WorkerPort.act`."""
        shape = Dispatch | Recorded | Parked
        answer: Dispatch | Recorded | Parked = await self._asked(
            session, "act", shape, 60.0, session, msgspec.json.encode(proposal)
        )
        return answer

    async def settle(self, session: str, outcome: Outcome) -> Recorded:
        """See `WorkerPort.settle`."""
        answer: Recorded = await self._asked(
            session, "settle", Recorded, 0.0, session, msgspec.json.encode(outcome)
        )
        return answer

    async def frames(self, session: str, frames: tuple[Frame, ...]) -> None:
        """Drop them, as the port allows."""

    async def finish(self, session: str, report: Report) -> Assignment | None:
        """See `WorkerPort.finish`."""
        shape = Assignment | None
        answer: Assignment | None = await self._asked(
            session, "finish", shape, 0.0, session, msgspec.json.encode(report)
        )
        return answer

    async def leave(self, session: str) -> int:
        """See `WorkerPort.leave`."""
        return int(await self._asked(session, "leave", int, 0.0, session))

    async def _asked(self, session: str, method: str, shape: Any, wait: float, *args: Any) -> Any:
        try:
            return await self._ask(method, shape, wait, *args)
        except Unanswered as silence:
            raise SessionLost(session) from silence

    async def _ask(self, method: str, shape: Any, wait: float, *args: Any) -> Any:
        self._number += 1
        number = self._number
        answer: asyncio.Future[_Answer] = self._loop.create_future()
        until = self._loop.time() + wait + ANSWER_SECONDS * TRIES
        while self._loop.time() < until and not answer.done():
            server = self._servers[self._home]
            self._send(server, number, method, args, answer)
            await asyncio.wait((answer,), timeout=min(wait, 6.0) + ANSWER_SECONDS)
        if not answer.done():
            raise Unanswered(method)
        given, value = answer.result()
        if not given:
            raise value
        return msgspec.json.decode(value, type=shape)

    def _send(
        self,
        server: Server,
        number: int,
        method: str,
        args: tuple[Any, ...],
        answer: "asyncio.Future[_Answer]",
    ) -> None:
        life, caller = self._life, self._caller
        target = server.life

        def reply(value: _Answer) -> None:
            self._network.send(Point.REPLY, target, life, lambda: _answered(answer, value))

        def arrive() -> None:
            if server.life is target:
                _serve(self._loop, server, (caller, number), method, args, reply)

        self._network.send(Point.REQUEST, life, target, arrive)


def _answered(answer: "asyncio.Future[_Answer]", value: _Answer) -> None:
    if not answer.done():
        answer.set_result(value)


def _serve(
    loop: SimLoop,
    server: Server,
    name: tuple[int, int],
    method: str,
    args: tuple[Any, ...],
    reply: Callable[[_Answer], None],
) -> None:
    """Do a numbered request once, in the server's life; a repeat gets the first one's answer."""
    if server.platform is None:
        return
    known = server.answers.get(name)
    if known is None:
        known = server.answers[name] = loop.create_future()
        loop.create_task(_do(server, server.platform, known, method, args))
    known.add_done_callback(lambda done: reply(done.result()))


_SHAPES: dict[str, Any] = {"hello": Hello, "act": Proposal, "settle": Outcome, "finish": Report}


async def _do(
    server: Server, platform: Platform, answer: "asyncio.Future[_Answer]", method: str, args: tuple[Any, ...]
) -> None:
    shape = _SHAPES.get(method)
    given = args if shape is None else (*args[:-1], msgspec.json.decode(args[-1], type=shape))
    ask: Callable[..., Awaitable[Any]] = getattr(platform, method)
    try:
        told = await ask(*given)
        server.handed(told)
        answer.set_result((True, msgspec.json.encode(told)))
    except Refusal as refusal:
        server.refusals[f"port {refusal.code}"] += 1
        answer.set_result((False, refusal))
    except Exception as error:  # a bug of the platform: it is told, and the worker gets no answer
        server.broke(method, error)
