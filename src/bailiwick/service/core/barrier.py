"""A barrier: whoever stops things waits until all who had begun to pass before have passed."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator


class Barrier:
    """Counts who passes, by generation, so that a steady stream of later ones cannot keep `settle` waiting."""

    def __init__(self) -> None:
        self._generation = 0
        self._inside: Counter[int] = Counter()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Be counted as passing for the length of a `with`."""
        generation = self._generation
        self._inside[generation] += 1
        try:
            yield
        finally:
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
