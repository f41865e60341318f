"""A barrier: whoever stops things waits until all who had begun to pass before have passed."""

import asyncio
from collections import Counter
from types import TracebackType


class Passing:
    """One that passes, for the length of a `with`."""

    __slots__ = ("_barrier", "_generation")

    def __init__(self, barrier: "Barrier") -> None:
        self._barrier = barrier

    def __enter__(self) -> None:
        self._generation = self._barrier.enter()

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._barrier.leave(self._generation)


class Barrier:
    """Counts who passes, by generation, so that a steady stream of later ones cannot keep `settle` waiting."""

    def __init__(self) -> None:
        self._generation = 0
        self._inside: Counter[int] = Counter()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def passing(self) -> "Passing":
        """Be counted as passing for the length of a `with`."""
        return Passing(self)

    def enter(self) -> int:
        """Count one more inside; answer the generation that it leaves again."""
        self._inside[self._generation] += 1
        return self._generation

    def leave(self, generation: int) -> None:
        """Count one less; whoever waited for the last one goes on."""
        self._inside[generation] -= 1
        if not self._inside[generation]:
            del self._inside[generation]
            self._release()

    async def settle(self) -> None:
        """Wait until all who are inside now have passed."""
        last = self._generation
        self._generation += 1
        if self._any_until(last):
            passed = asyncio.get_running_loop().create_future()
            self._waiting.append((last, passed))
            await passed

    def _any_until(self, generation: int) -> bool:
        return any(inside <= generation for inside in self._inside)

    def _release(self) -> None:
        still: list[tuple[int, asyncio.Future[None]]] = []
        for generation, passed in self._waiting:
            if self._any_until(generation):
                still.append((generation, passed))
            elif not passed.done():
                passed.set_result(None)
        self._waiting = still
