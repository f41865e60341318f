"""What the code of an agent is handed: the only way from an agent to the world."""

from typing import Any, Protocol

from bailiwick.ports import Message, ModelReply, ToolSpec


class Parking(BaseException):
    """The step leaves its worker: it waits for people, or its run must stop.

    A BaseException, so that an agent's `except Exception` cannot swallow it. Agents never catch it.
    """


class CallRefused(Exception):
    """The gate or the tool said no; a typed answer that an agent may go on from.

    Args:
        capability: What was asked.
        state: refused, failed or canceled.
        category: Why, as an error category.
        reason: A sentence.
    """

    def __init__(self, capability: str, state: str, category: str, reason: str) -> None:
        super().__init__(f"{capability}: {reason}")
        self.capability = capability
        self.state = state
        self.category = category
        self.reason = reason


class OutputUnknown(Exception):
    """The action is done, and what it answered is not known: a person said so without having the answer.

    It must not be done again. An agent may go on without the answer; one that lets this pass fails its step with
    category `tool-failed`. Once somebody has said the answer, the same call is answered with it.

    Args:
        capability: What was asked.
        reason: How it is known that it happened.
    """

    def __init__(self, capability: str, reason: str) -> None:
        super().__init__(f"{capability} is done, and what it answered is not known: {reason}")
        self.capability = capability
        self.reason = reason


class Context(Protocol):
    """Handed to an agent's code. Each call passes the gate, is recorded, and is answered from the record
    when the agent is entered again after a crash or a wait.
    """

    @property
    def run(self) -> str:
        """The run's id."""
        ...

    @property
    def step(self) -> str:
        """The step instance."""
        ...

    @property
    def feedback(self) -> str:
        """Why the attempt before this one failed; empty in the first."""
        ...

    async def tool(self, capability: str, arguments: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """Call a tool.

        Raises:
            CallRefused: Policy denied it, a person rejected it, or it failed.
            OutputUnknown: It is done, and nobody knows what it answered.
        """
        ...

    async def model(
        self,
        model: str,
        messages: list[Message],
        *,
        tools: tuple[ToolSpec, ...] = (),
        output_schema: dict[str, Any] | None = None,
        max_output_tokens: int = 4096,
    ) -> ModelReply:
        """Ask a model.

        Raises:
            CallRefused: Policy denied it, or it failed.
        """
        ...

    def say(self, text: str) -> None:
        """Show a line to whoever watches; never recorded."""
        ...
