"""The runner: works on one assignment: a code agent, a platform-run agent, a tool step, or the context."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from msgspec.structs import replace

from bailiwick.app import AgentDefinition, CallRefused, OutputUnknown, Parking
from bailiwick.base import Category, LeaseLost, Refusal, canonical, parse_canonical
from bailiwick.contract import ErrorCategory
from bailiwick.plan import Checked
from bailiwick.ports import Assignment, AssignmentKind, Fenced, Report, SessionLost, WorkerPort, World
from bailiwick.worker.checking import Checker
from bailiwick.worker.entering import AgentRaised, enter
from bailiwick.worker.executor import Executor
from bailiwick.worker.failure import StepFailed
from bailiwick.worker.handle import Handle
from bailiwick.worker.insisting import insist
from bailiwick.worker.leash import Leash
from bailiwick.worker.loop import AgentLoop

log = structlog.get_logger("bailiwick.worker")
MAX_REASON = 500
_NOTHING = Checked()


class Runner:
    """Turns assignments into reports."""

    def __init__(
        self,
        *,
        port: WorkerPort,
        executor: Executor,
        checker: Checker,
        agents: Mapping[tuple[str, str], AgentDefinition],
        world: World,
    ) -> None:
        self._port = port
        self._executor = executor
        self._checker = checker
        self._agents = agents
        self._world = world

    async def run(self, session: str, assignment: Assignment, leash: Leash) -> Report | None:
        """Work on an assignment; None when it is no longer ours to report on (parked, lost, executed).

        Raises:
            SessionLost: The session is over, and with it all that it has: a step that is dropped here alone stays in
                the hands of a session that goes on.
        """
        handle = Handle(
            port=self._port,
            session=session,
            assignment=assignment,
            executor=self._executor,
            world=self._world,
            leash=leash,
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
                report = await self._granted(session, assignment, handle, blank)
            elif assignment.kind is AssignmentKind.PROBE:
                report = await self._probe(assignment, handle, blank)
            else:
                report = await self._report(assignment, handle, blank)
                await handle.drain()
        except asyncio.CancelledError:
            await handle.close(abandon=True)
            raise
        finally:
            await handle.close()
        if handle.over is not None:
            raise handle.over
        if handle.gone:
            log.info("step.parked", reason=handle.parked)
            return None
        return report

    async def _granted(
        self, session: str, assignment: Assignment, handle: Handle, blank: Report
    ) -> Report | None:
        """Execute a granted action; its outcome alone moves the step on, so there is nothing to report."""
        assert assignment.dispatch is not None, "a granted action comes with its dispatch"
        dispatch = assignment.dispatch
        try:
            outcome = await self._executor.execute(
                dispatch, None, handle.sink(dispatch.key), handle.leash.stop
            )
            await insist(lambda: self._port.settle(session, outcome))
        except SessionLost:
            raise
        except (LeaseLost, Fenced) as lost:
            log.info("step.fenced", code=lost.code)
        except Exception as error:  # whatever goes wrong with a host is this step's failure
            return _broken(blank, error)
        return None

    async def _probe(self, assignment: Assignment, handle: Handle, blank: Report) -> Report | None:
        """Ask a probe; its recorded answer moves the step by itself, so only that there is none is reported."""
        try:
            # Asked again, it is another question: what it said before is no answer to it.
            await handle.tool(assignment.capability, assignment.input, key=f"probe {assignment.epoch}")
        except CallRefused as refused:
            return replace(blank, category=ErrorCategory(refused.category), reason=str(refused)[:MAX_REASON])
        except Parking as parking:
            reason = str(parking)
            return None if handle.gone else replace(blank, category=ErrorCategory.CANCELED, reason=reason)
        except Exception as error:  # whatever goes wrong in a step is that step's failure
            return _broken(blank, error)
        return None

    async def _report(self, assignment: Assignment, handle: Handle, blank: Report) -> Report:
        try:
            output, checked = await self._work(assignment, handle)
        except Parking as parking:
            return replace(blank, category=ErrorCategory.CANCELED, reason=str(parking))
        except OutputUnknown:
            return replace(blank, unanswered=True)
        except StepFailed as failed:
            asked = failed.retry_after
            return replace(
                blank,
                category=failed.category,
                reason=failed.reason[:MAX_REASON],
                rules=failed.rules,
                findings=failed.findings,
                retry_after=asked if asked is not None else handle.retry_after(failed.category),
            )
        except Exception as error:  # whatever goes wrong in a step is that step's failure
            return _broken(blank, error)
        return replace(blank, output=output, rules=checked.rules)

    async def _work(self, assignment: Assignment, handle: Handle) -> tuple[dict[str, Any], Checked]:
        match assignment.kind:
            case AssignmentKind.CONTEXT:
                return await self._context(assignment, handle), _NOTHING
            case AssignmentKind.TOOL:
                return await self._tool(assignment, handle), _NOTHING
            case _:
                return await self._agent(assignment, handle)

    async def _context(self, assignment: Assignment, handle: Handle) -> dict[str, Any]:
        """Load the context in its order: a snapshot first, then what is read from it."""
        found: dict[str, Any] = {}
        for item in assignment.input["items"]:
            found[item["id"]] = await self._call(handle, item["uses"], item["input"])
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
        if assignment.mandate is not None:
            return await AgentLoop(agent=assignment.mandate, handle=handle, checker=self._checker).run()
        agent = self._agents.get((assignment.app, assignment.capability))
        if agent is None or agent.run is None:
            raise StepFailed(ErrorCategory.INTERNAL, f"this worker has no agent {assignment.capability}")
        output = await self._code(agent, assignment, handle)
        checked = await self._checker.check(assignment, output, handle.tree)
        if checked.findings:
            reason = "the output was not accepted: " + "; ".join(checked.findings)
            raise StepFailed(
                ErrorCategory.INVALID_OUTPUT, reason, rules=checked.rules, findings=checked.findings
            )
        return output, checked

    async def _code(self, agent: AgentDefinition, assignment: Assignment, handle: Handle) -> dict[str, Any]:
        assert agent.run is not None, "a code agent has code"
        try:
            output = await enter(agent.run, handle, assignment.input)
        except AgentRaised as raised:
            cause = raised.__cause__
            if isinstance(cause, CallRefused):
                raise StepFailed(ErrorCategory(cause.category), str(cause)) from cause
            if isinstance(cause, OutputUnknown):
                raise StepFailed(ErrorCategory.TOOL_FAILED, str(cause)) from cause
            log.warning("agent.raised", exc_info=cause)
            raise StepFailed(ErrorCategory.INTERNAL, _told(cause)) from cause
        await handle.drain()
        try:
            plain = parse_canonical(canonical(output))
        except TypeError as error:
            raise StepFailed(ErrorCategory.INVALID_OUTPUT, f"the output is not JSON: {error}") from error
        if not isinstance(plain, dict):
            name = type(output).__name__
            raise StepFailed(ErrorCategory.INVALID_OUTPUT, f"the agent returned {name}, not a dict")
        return plain


def _broken(blank: Report, error: Exception) -> Report:
    """Report what no agent and no policy meant: a refusal of the platform, or a fault in it or in a host."""
    log.error("step.broken", exc_info=error)
    passing = isinstance(error, Refusal) and error.category is Category.UNAVAILABLE
    category = ErrorCategory.TRANSIENT if passing else ErrorCategory.INTERNAL
    return replace(blank, category=category, reason=_told(error))


def _told(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_REASON]
