"""Leaving: a worker that was told to end takes nothing more, and what it has in hand goes to others, call by call."""

from bailiwick.plan import Plan
from bailiwick.run import CallState, LeaseLost, NotAllowed, Release, Run, Step, StepStatus
from bailiwick.service.core.changes import Change, Record
from bailiwick.service.core.runs import Runs
from bailiwick.service.gate.gate import Gate
from bailiwick.service.hands.sessions import Held, Sessions

LEAVES = "its worker is leaving"


class Leaving:
    """Lets sessions go without cutting a call off."""

    def __init__(self, *, runs: Runs, sessions: Sessions, gate: Gate) -> None:
        self._runs = runs
        self._sessions = sessions
        self._gate = gate

    async def leave(self, session: str) -> int:
        """Hand out nothing more to a session, and give away each step of its that is in no call now.

        What is in a call stays with it until its outcome is recorded; ask again for that.

        Returns:
            How many steps were given away.

        Raises:
            SessionLost: The session is over: all that it had is.
            Refusal: The store cannot be written now (category unavailable); ask again.
        """
        known = self._sessions.find(session)
        known.leave()
        given, known.given = known.given, []
        return sum([await self._give_away(held) for held in (*known.holds.values(), *given)])

    async def _give_away(self, held: Held) -> bool:
        async def consider(run: Run, plan: Plan) -> Change | None:
            step = run.steps.get(held.step)
            if step is None or step.epoch != held.epoch or step.status is not StepStatus.RUNNING:
                return None
            if self._in_a_call(run, step):
                return None
            return Change(Release(step.name, step.epoch, LEAVES), Record("platform:leaving"))

        try:
            before, after = await self._runs.change(held.tenant, held.run, consider)
        except (LeaseLost, NotAllowed):
            return False  # it has moved on by itself
        return before is not after

    def _in_a_call(self, run: Run, step: Step) -> bool:
        """Whether a call of this hold of the step is on its way; what an earlier one left is repeated by anybody."""
        calls = (run.calls[key] for key in run.tally.open_calls)
        going = any(
            (call.step, call.epoch, call.state) == (step.name, step.epoch, CallState.INTENDED)
            for call in calls
        )
        return going or bool(self._gate.reading(run.id, step.name))
