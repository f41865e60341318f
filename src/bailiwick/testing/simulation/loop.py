"""The simulation's event loop: a virtual clock, a schedule picked by a seed, and nodes that crash and are paused.

It implements what asyncio's own machinery needs and no more: whatever would do real input or output, start a
thread or read a real clock fails where it is called. Tasks hash by a counter, so that the sets which asyncio
keeps of them iterate alike in every process.
"""

import asyncio
import contextlib
import heapq
import random
import warnings
from asyncio import events
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any

_MASK = (1 << 64) - 1
_MULTIPLIER = 6364136223846793005


class Deadlock(Exception):
    """Nothing is ready and no timer runs, but the simulation is not over: somebody waits for ever."""


class Exhausted(Exception):
    """The seed used up its scheduling points."""


class Life:
    """One life of a node, from a start to a crash; every task belongs to the life that made it.

    A life that is dead runs no more: its tasks stay where they are, without any clean-up. A paused one
    (SIGSTOP) goes on later with all that came due meanwhile.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.paused_until = 0.0
        self.held: list[Turn] = []
        self.tasks: list[SimTask] = []
        self.context = copy_context()
        self.context.run(LIFE.set, self)

    def keep(self, task: "SimTask") -> None:
        """Remember a task, so that nothing of a life is ever cleaned up before the simulation is over."""
        self.tasks.append(task)
        if len(self.tasks) % 512 == 0:
            self.tasks = [task for task in self.tasks if not task.done()]


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class Turn:
    """Something to run; what `asyncio.Handle` is elsewhere."""

    __slots__ = ("args", "at", "callback", "context", "gone", "life", "number")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, number: int, at: float
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context
        self.life = context.get(LIFE)
        self.number = number
        self.at = at
        self.gone = False

    def cancel(self) -> None:
        """Never run it."""
        self.gone = True
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it was canceled."""
        return self.gone

    def when(self) -> float:
        """When it is due."""
        return self.at

    def __lt__(self, other: "Turn") -> bool:
        return (self.at, self.number) < (other.at, other.number)


class SimTask(asyncio.Task[Any]):
    """A task that hashes by its number."""

    def __init__(
        self, coro: Coroutine[Any, Any, Any], *, loop: "SimLoop", number: int, **options: Any
    ) -> None:
        self.number = number
        self.coro = coro
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimLoop(asyncio.AbstractEventLoop):
    """Runs one simulated world.

    Args:
        seed: Decides the schedule.
        limit: Scheduling points after which the seed is given up.

    Attributes:
        points: Scheduling points so far.
        digest: A number that two runs share only if they took the same turns at the same instants.
        faults: What was raised where nobody could catch it.
    """

    def __init__(self, seed: int, limit: int) -> None:
        self._random = random.Random(f"schedule {seed}")  # noqa: S311  # a schedule, not a secret
        self._limit = limit
        self._now = 0.0
        self._number = 0
        self._ready: list[Turn] = []
        self._timers: list[Turn] = []
        self._over = False
        self.points = 0
        self.digest = seed
        self.faults: list[str] = []
        self.lives: list[Life] = []

    def time(self) -> float:
        """Tell the virtual time, in seconds from the beginning of the world."""
        return self._now

    def get_debug(self) -> bool:
        """Say no: there is no debug mode."""
        return False

    def is_running(self) -> bool:
        """Whether the world goes on."""
        return not self._over

    def is_closed(self) -> bool:
        """Whether the world has ended."""
        return self._over

    def call_soon(  # type: ignore[override]  # a Turn is all that asyncio needs of a Handle
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        """Run something among whatever is ready, in an order that the seed decides."""
        turn = self._turn(callback, args, context, self._now)
        self._ready.append(turn)
        return turn

    def call_later(  # type: ignore[override]  # a Turn is all that asyncio needs of a TimerHandle
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        """Run something once a virtual time has passed."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # see `call_later`
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        """Run something at a virtual time."""
        turn = self._turn(callback, args, context, when)
        heapq.heappush(self._timers, turn)
        return turn

    def _turn(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None, at: float
    ) -> Turn:
        self._number += 1
        return Turn(callback, args, copy_context() if context is None else context, self._number, at)

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # the loop's own kind of task
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> SimTask:
        """Make a task of the life that asks for it."""
        self._number += 1
        task = SimTask(coro, loop=self, number=self._number, name=name or "", context=context)
        life = (context if context is not None else copy_context()).get(LIFE)
        if life is not None:
            life.keep(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what was raised where nobody could catch it; after the end nothing counts any more."""
        if not self._over:
            self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, _turn: object) -> None:
        """Leave it in the heap, it is skipped when its time comes."""

    def unheard(self) -> "list[SimTask]":
        """List the tasks of living nodes that ended with an error which nobody has looked at (yet)."""
        living = [task for life in self.lives if not life.dead for task in life.tasks]
        return [task for task in living if task.done() and task._log_traceback]  # asyncio's mark

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """See `call_exception_handler`."""
        self.call_exception_handler(context)

    def life(self, name: str) -> Life:
        """Begin a life of a node."""
        life = Life(name)
        self.lives.append(life)
        return life

    def pause(self, life: Life, seconds: float) -> None:
        """Stop a life for a while, as SIGSTOP does."""
        life.paused_until = max(life.paused_until, self._now + seconds)
        self.call_at(life.paused_until, self._go_on, life, context=Context())

    def _go_on(self, life: Life) -> None:
        if self._now >= life.paused_until and not life.dead:
            self._ready.extend(life.held)
            life.held = []

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run until the main task is done.

        Raises:
            Deadlock: Nothing can ever happen again.
            Exhausted: The scheduling points are used up.
        """
        events._set_running_loop(self)
        try:
            task = self.create_task(main, context=Context())
            while not task.done():
                self._once()
            return task.result()
        finally:
            events._set_running_loop(None)

    def _once(self) -> None:
        ready = self._ready
        while not ready:
            self._advance()
        at = int(self._random.random() * len(ready))
        turn = ready[at]
        ready[at] = ready[-1]
        ready.pop()
        life = turn.life
        callback = turn.callback
        if callback is None:
            return
        if life is not None:
            if life.dead:
                return
            if life.paused_until > self._now:
                life.held.append(turn)
                return
        self.points += 1
        if self.points > self._limit:
            raise Exhausted(f"{self._limit} scheduling points")
        self.digest = (self.digest * _MULTIPLIER + turn.number * 1_000_003 + int(self._now * 1e6)) & _MASK
        try:
            turn.context.run(callback, *turn.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as asyncio does: a callback must not end the loop
            self.call_exception_handler(
                {"message": f"in a callback of {life and life.name}", "exception": error}
            )

    def _advance(self) -> None:
        """Jump to the next instant at which anything is due."""
        timers = self._timers
        while timers and timers[0].gone:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"at {self._now:.3f} s nothing is ready and no timer runs")
        self._now = max(self._now, timers[0].at)
        while timers and timers[0].at <= self._now:
            turn = heapq.heappop(timers)
            if not turn.gone:
                self._ready.append(turn)

    def close(self) -> None:
        """End the world: take every task apart; whatever it does while it falls apart counts no more."""
        self._over = True
        self._ready.clear()
        self._timers.clear()
        events._set_running_loop(self)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for life in self.lives:
                    for task in life.tasks:
                        _take_apart(task)
                    life.tasks = []
                    life.held = []
        finally:
            events._set_running_loop(None)
        self._ready.clear()
        self._timers.clear()

    def shutdown_asyncgens(self) -> Generator[None, None, None]:  # type: ignore[override]
        """Do nothing: generators go with their tasks."""
        yield from ()


def _take_apart(task: SimTask) -> None:
    if task.done():
        return
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
    with contextlib.suppress(BaseException):  # clean-up code of a world that is over may fail as it likes
        task.coro.close()
