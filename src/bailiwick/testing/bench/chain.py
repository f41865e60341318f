"""The chain: an app whose workflows are sequences of trivial durable steps, each with about 300 bytes of output."""

from typing import Any

from bailiwick.app import App, Context

OUTPUT: dict[str, Any] = {
    "verdict": "done",
    "summary": "a step that does nothing but answer",
    "lines": ["what an agent says when it says little"] * 4,
    "words": 42,
    "cost": 0,
}


def chain_app(*lengths: int) -> App:
    """Make an app with a workflow `chain-N` of N steps for each length."""
    app = App("bench", tenant="*")

    @app.code_agent(
        "bench.step", output={"verdict": str, "summary": str, "lines": [str], "words": int, "cost": int}
    )
    async def step(_ctx: Context, _given: dict[str, Any]) -> dict[str, Any]:
        return OUTPUT

    for length in lengths:
        app.workflow(name_of(length), steps=chain_steps("bench.step", length))
    return app


def chain_steps(agent: str, length: int) -> list[dict[str, Any]]:
    """Write down steps that follow one another."""
    first = {"id": "step-0", "uses": agent, "input": {"number": 0}}
    rest = [
        {"id": f"step-{at}", "uses": agent, "input": {"number": at}, "after": [f"step-{at - 1}"]}
        for at in range(1, length)
    ]
    return [first, *rest]


def name_of(length: int) -> str:
    """Name the workflow of so many steps."""
    return f"chain-{length}"
