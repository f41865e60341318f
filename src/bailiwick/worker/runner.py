"""The runner: works on one assignment: a code agent, a platform-run agent, a tool step, or the context."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from msgspec.structs import replace

from bailiwick.app import AgentDefinition, CallRefused, Parking
from bailiwick.base import Refusal
from bailiwick.contract import Contract, ErrorCategory
from bailiwick.plan import brief_schema
from bailiwick.ports import Assignment, Report, Stop, ToolHost, WorkerPort, World
from bailiwick.run import PLAN, LeaseLost
from bailiwick.worker.checking import Checked, Checker
from bailiwick.worker.executor import Executor
from bailiwick.worker.failure import StepFailed
from bailiwick.worker.handle import Handle
from bailiwick.worker.loop import AgentLoop

log = structlog.get_logger("bailiwick.worker")
_NOTHING = Checked((), ())


class Runner:
    """Turns assignments into reports."""

    def __init__(
        self,
        *,
        port: WorkerPort,
        executor: Executor,
        tools: ToolHost,
        checker: Checker,
        agents: Mapping[tuple[str, str], AgentDefinition],
        world: World,
    ) -> None:
        self._port = port
        self._executor = executor
        self._tools: dict[str, Contract] = {contract.ref: contract for contract in tools.contracts()}
        self._checker = checker
        self._agents = agents
        self._world = world

    async def run(self, session: str, assignment: Assignment, stop: Stop) -> Report | None:
        """Work on an assignment; None when it is no longer ours to report on (parked, lost, executed)."""
        handle = Handle(
            port=self._port,
            session=session,
            assignment=assignment,
            executor=self._executor,
            world=self._world,
            stop=stop,
        )
        blank = Report(
            task=assignment.task,
            tenant=assignment.tenant,
            run=assignment.run,
            step=assignment.step,
            epoch=assignment.epoch,
        )
        try:
            if assignment.dispatch is not None:
                await self._execute_granted(session, assignment, handle, stop)
                return None
            output, checked = await self._work(assignment, handle)
        except Parking as parking:
            if stop.requested and not stop.reason.startswith(("halt", "lost")):
                return replace(blank, category=ErrorCategory.CANCELED, reason=stop.reason)
            log.info("step.parked", run_id=assignment.run, step=assignment.step, reason=str(parking))
            return None
        except LeaseLost as lost:
            log.info("step.fenced", run_id=assignment.run, step=assignment.step, code=lost.code)
            return None
        except StepFailed as failed:
            return replace(
                blank,
                category=failed.category,
                reason=failed.reason,
                rules=failed.rules,
                findings=failed.findings,
                retry_after=failed.retry_after,
            )
        finally:
            await handle.close()
        return replace(blank, output=output, rules=checked.rules)

    async def _execute_granted(
        self, session: str, assignment: Assignment, handle: Handle, stop: Stop
    ) -> None:
        assert assignment.dispatch is not None, "a granted action comes with its dispatch"
        outcome = await self._executor.execute(assignment.dispatch, None, handle.sink, stop)
        await self._port.settle(session, outcome)

    async def _work(self, assignment: Assignment, handle: Handle) -> tuple[dict[str, Any], Checked]:
        match assignment.kind:
            case "context":
                return await self._context(assignment, handle), _NOTHING
            case "tool":
                return await self._tool(assignment, handle), _NOTHING
            case _:
                return await self._agent(assignment, handle)

    async def _context(self, assignment: Assignment, handle: Handle) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for id, item in assignment.input.items():
            found[id] = await self._call(handle, item["uses"], item["input"])
        return found

    async def _tool(self, assignment: Assignment, handle: Handle) -> dict[str, Any]:
        output = await self._call(handle, assignment.capability, assignment.input)
        assert isinstance(output, dict), "the host holds outputs to the contract"
        return output

    async def _call(self, handle: Handle, capability: str, given: dict[str, Any]) -> Any:
        try:
            return await handle.tool(capability, given)
        except CallRefused as refused:
            raise StepFailed(ErrorCategory(refused.category), str(refused)) from refused

    async def _agent(self, assignment: Assignment, handle: Handle) -> tuple[dict[str, Any], Checked]:
        agent = self._agents.get((assignment.app, assignment.capability))
        if agent is None:
            raise StepFailed(ErrorCategory.INTERNAL, f"this worker has no agent {assignment.capability}")
        schema = agent.contract.output
        if assignment.step == PLAN:
            schema = brief_schema(assignment.phrases)
        if agent.run is None:
            loop = AgentLoop(agent=agent, handle=handle, checker=self._checker, tools=self._tools)
            return await loop.run(schema)
        output = await self._code(agent, assignment, handle)
        checked = await self._checker.check(assignment, agent.contract, output, handle.tree)
        if checked.findings:
            reason = "the output was not accepted: " + "; ".join(checked.findings)
            raise StepFailed(
                ErrorCategory.INVALID_OUTPUT, reason, rules=checked.rules, findings=checked.findings
            )
        return output, checked

    async def _code(self, agent: AgentDefinition, assignment: Assignment, handle: Handle) -> dict[str, Any]:
        assert agent.run is not None, "a code agent has code"
        try:
            output = await agent.run(handle, assignment.input)
        except CallRefused as refused:
            raise StepFailed(ErrorCategory(refused.category), str(refused)) from refused
        except (Refusal, StepFailed, asyncio.CancelledError):
            raise
        except Exception as error:  # an author's code may raise anything; the step fails, the worker lives
            log.warning("agent.raised", run_id=assignment.run, step=assignment.step, exc_info=error)
            raise StepFailed(ErrorCategory.INTERNAL, f"{type(error).__name__}: {error}"[:500]) from error
        if not isinstance(output, dict):
            raise StepFailed(
                ErrorCategory.INVALID_OUTPUT, f"the agent returned {type(output).__name__}, not a dict"
            )
        return output
