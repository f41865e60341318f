"""Floor 6: all that may run far from the database: claim, heartbeat, run agents, execute dispatches."""

from bailiwick.worker.checking import Checker
from bailiwick.worker.executor import Executor
from bailiwick.worker.runner import Runner
from bailiwick.worker.worker import Worker

__all__ = ["Checker", "Executor", "Runner", "Worker"]
