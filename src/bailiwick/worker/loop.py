"""The loop of a platform-run agent: ask the model, call the tools it wants, until its answer fits."""

import contextlib
import json
from typing import Any

from bailiwick.app import CallRefused, OutputUnknown
from bailiwick.base import Refusal, canonical, parse_strict
from bailiwick.contract import ErrorCategory, validator_for
from bailiwick.plan import Checked
from bailiwick.ports import FEEDBACK, Mandate, Message, ModelReply, ToolUse
from bailiwick.worker.answers import Unread, object_in
from bailiwick.worker.checking import Checker
from bailiwick.worker.failure import StepFailed
from bailiwick.worker.handle import Handle

MAX_REPAIRS = 1
MAX_RESULT_CHARS = 60_000
_FINISH = "Most of this run's budget is spent. Begin nothing new: finish what you are at, and give your final answer."
_LAST_TURN = "This is your last turn: call no more tools, and give your final answer now."


class _CutOff(Exception):
    """The answer was cut off while it streamed: it could not have been accepted any more."""


class AgentLoop:
    """Runs one attempt of a platform-run agent; resumed, its recorded calls answer it."""

    def __init__(self, *, agent: Mandate, handle: Handle, checker: Checker) -> None:
        self._agent = agent
        self._handle = handle
        self._checker = checker
        self._names = {spec.name: name for spec, name in zip(agent.tools, agent.names, strict=True)}
        self._repairs = 0
        self._told = False

    async def run(self) -> tuple[dict[str, Any], Checked]:
        """Work until the answer fits the assignment's schema and the rules.

        Returns:
            The output and the checks that it passed.

        Raises:
            StepFailed: It does not fit after one repair, the turns are used up, or the model failed.
        """
        messages = self._opening()
        for turn in range(self._agent.max_turns):
            if self._handle.soft_limit and not self._told:
                self._told = True
                messages.append(Message("user", _FINISH))
            if turn == self._agent.max_turns - 1 and turn > 0:
                messages.append(Message("user", _LAST_TURN))
            try:
                reply = await self._ask(messages)
            except _CutOff as cut:
                messages.append(self._repair(Checked(findings=(str(cut),))))
                continue
            messages.append(reply.message)
            if reply.message.tool_uses:
                for use in reply.message.tool_uses:
                    messages.append(await self._call(use))
                continue
            output, checked = await self._judge(reply)
            if output is not None and not checked.findings:
                return output, checked
            messages.append(self._repair(checked))
        reason = f"no answer after {self._agent.max_turns} turns"
        raise StepFailed(ErrorCategory.EXHAUSTED, reason)

    def _opening(self) -> list[Message]:
        system = self._agent.prompt
        if self._handle.feedback:
            system += f"{FEEDBACK}{self._handle.feedback}"
        given = canonical(self._handle.assignment.input).decode()
        return [Message("system", system), Message("user", given)]

    async def _ask(self, messages: list[Message]) -> ModelReply:
        try:
            return await self._handle.model(
                self._agent.model,
                messages,
                tools=self._agent.tools,
                output_schema=self._handle.assignment.output,
                max_output_tokens=self._agent.max_output_tokens,
                pinned=True,
            )
        except CallRefused as refused:
            category = ErrorCategory(refused.category)
            if category is ErrorCategory.INVALID_OUTPUT:
                raise _CutOff(refused.reason) from refused
            raise StepFailed(category, f"model {self._agent.model}: {refused.reason}") from refused

    async def _call(self, use: ToolUse) -> Message:
        # A tool that the agent was not given goes to the gate like any other, so that the denial is on record.
        name = self._names.get(use.name, use.name)
        try:
            arguments = parse_strict(use.arguments.encode() or b"{}")
        except Refusal as refusal:
            return await self._unread(use, name, f"the arguments are not valid JSON: {refusal.message}")
        if not isinstance(arguments, dict):
            return await self._unread(use, name, "the arguments must be one JSON object")
        try:
            return _told(use, await self._handle.tool(name, arguments))
        except OutputUnknown as lack:
            return _told(use, {"error": str(lack), "state": "done"})
        except CallRefused as refused:
            said = {"error": refused.reason, "category": refused.category, "state": refused.state}
            return _told(use, said if use.name in self._names else {**said, "tools": list(self._names)})

    async def _unread(self, use: ToolUse, name: str, reason: str) -> Message:
        """Have what could not be read noted like any other refused attempt, and tell the model."""
        with contextlib.suppress(CallRefused):
            await self._handle.unread(name, use.arguments, reason)
        return _told(use, {"error": reason})

    async def _judge(self, reply: ModelReply) -> tuple[dict[str, Any] | None, Checked]:
        fits = validator_for(self._handle.assignment.output).fits
        try:
            output = object_in(reply.message.text, fits)
        except Unread as unread:
            return None, Checked(findings=(str(unread),))
        return output, await self._checker.check(self._handle.assignment, output, self._handle.tree)

    def _repair(self, checked: Checked) -> Message:
        if self._repairs >= MAX_REPAIRS:
            raise StepFailed(
                ErrorCategory.INVALID_OUTPUT,
                "the answer was not accepted: " + "; ".join(checked.findings),
                rules=checked.rules,
                findings=checked.findings,
            )
        self._repairs += 1
        listed = "\n".join(f"- {finding}" for finding in checked.findings)
        return Message("user", f"Your answer was not accepted:\n{listed}\nCorrect this and answer again.")


def _told(use: ToolUse, result: Any) -> Message:
    text = json.dumps(result, ensure_ascii=False, sort_keys=True)
    if len(text) > MAX_RESULT_CHARS:
        text = text[:MAX_RESULT_CHARS] + "… (cut)"
    return Message("tool", text, tool_use_id=use.id)
