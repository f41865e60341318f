"""`python chains.py PEER FOLDER CLIENTS SECONDS`: five durable steps again and again on a peer; prints what came of it, as JSON.

It is run by the interpreter of the peers' own virtual environment, and so knows nothing of Bailiwick. Each step answers what a
step of our own chain answers, and is on disk before the next one begins: LangGraph with `durability="sync"`, DBOS as it is shipped.
"""

import asyncio
import json
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

STEPS = 5
OUTPUT: dict[str, Any] = {
    "verdict": "done",
    "summary": "a step that does nothing but answer",
    "lines": ["what an agent says when it says little"] * 4,
    "words": 42,
    "cost": 0,
}
WARM_SECONDS = 1.0


class Took:
    """How long each run took, in seconds, and what all of them cost together."""

    def __init__(self) -> None:
        self.runs: list[float] = []
        self._begun = time.monotonic()
        self._cpu = _cpu_seconds()

    def begin(self) -> float:
        """Begin to count; answer when."""
        self.runs.clear()
        self._begun, self._cpu = time.monotonic(), _cpu_seconds()
        return self._begun

    def tell(self) -> None:
        """Print it."""
        seconds, cpu = time.monotonic() - self._begun, _cpu_seconds() - self._cpu
        p50 = sorted(self.runs)[len(self.runs) // 2]
        told = {"runs": len(self.runs), "seconds": seconds, "cpu": cpu, "p50": p50}
        sys.stdout.write(f"{json.dumps(told)}\n")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _on_langgraph(folder: str, clients: int, seconds: float) -> None:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415  # each peer has its own
    from langgraph.graph import END, START, StateGraph  # noqa: PLC0415

    async def step(state: dict[str, Any]) -> dict[str, Any]:
        return {**state, str(len(state)): OUTPUT}

    graph = StateGraph(dict)
    names = [f"step-{at}" for at in range(STEPS)]
    for name in names:
        graph.add_node(name, step)
    for one, other in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(one, other)
    took = Took()
    async with AsyncSqliteSaver.from_conn_string(f"{folder}/chain.db") as saver:
        chain = graph.compile(checkpointer=saver)

        async def run(name: str) -> None:
            await chain.ainvoke({}, {"configurable": {"thread_id": name}}, durability="sync")

        await _by_tasks(run, took, clients, took.begin() + WARM_SECONDS)
        await _by_tasks(run, took, clients, took.begin() + seconds)
        took.tell()


async def _by_tasks(run: Callable[[str], Awaitable[None]], took: Took, clients: int, until: float) -> None:
    async def client(number: int) -> None:
        while time.monotonic() < until:
            begun = time.monotonic()
            await run(f"{number}.{begun}")
            took.runs.append(time.monotonic() - begun)

    await asyncio.gather(*(client(number) for number in range(clients)))


def _on_dbos(folder: str, clients: int, seconds: float) -> None:
    from dbos import DBOS  # noqa: PLC0415

    def answer(_number: int) -> dict[str, Any]:
        return OUTPUT

    def steps() -> int:
        for number in range(STEPS):
            step(number)
        return STEPS

    step: Callable[[int], dict[str, Any]] = DBOS.step()(answer)
    chain: Callable[[], int] = DBOS.workflow()(steps)
    url = f"sqlite:///{folder}/chain.db"
    DBOS(
        config={"name": "chain", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False}
    )
    DBOS.launch()
    took = Took()
    _by_threads(chain, took, clients, took.begin() + WARM_SECONDS)
    _by_threads(chain, took, clients, took.begin() + seconds)
    took.tell()
    DBOS.destroy()


def _by_threads(run: Callable[[], int], took: Took, clients: int, until: float) -> None:
    def client() -> None:
        while time.monotonic() < until:
            begun = time.monotonic()
            run()
            took.runs.append(time.monotonic() - begun)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(peer: str, folder: str, clients: int, seconds: float) -> None:
    """Run the chain on a peer."""
    if peer == "langgraph":
        asyncio.run(_on_langgraph(folder, clients, seconds))
    else:
        _on_dbos(folder, clients, seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
