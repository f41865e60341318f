"""The app that is simulated: tools of all classes, one agent that does what its script says, and workflows of every shape."""

import asyncio
import contextlib
import functools
import random
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick.app import App, CallRefused, Context
from bailiwick.contract import PROBE_OUTPUT, Contract, EffectClass, Kind, parse_contract
from bailiwick.plan import RuleBook, builtin_rules
from bailiwick.policy import Bundle, build_bundle, stacked
from bailiwick.service import IntentRequest
from bailiwick.wiring.compiler import run_policy_compiler

POLICIES = {
    "sim.cedar": """
@id("sim.declared")
@reason("what an agent declares it may do")
permit (principal, action == Action::"tool.call", resource)
when { context.declared && ["sim.mail", "sim.pay", "sim.sign", "sim.book", "sim.unbook"].contains(resource.name) };

@id("sim.mailed")
@reason("the post office knows, once nothing is on its way any more")
@decides_after("quarantine")
permit (principal, action == Action::"tool.call", resource)
when { context.declared && resource.name == "sim.mailed" };

@id("sim.payers")
@reason("money needs a payer")
@require_approval("payers")
@approval_ttl("PT40S")
@escalate_to("chiefs")
@escalate_after("PT15S")
forbid (principal, action == Action::"tool.call", resource)
when { ["sim.pay", "sim.sign"].contains(resource.name) }
unless { context.approvals.contains("payers") };

@id("sim.never")
@reason("this is never done")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "sim.never" };
"""
}
STRICTER = """
@id("sim.post")
@reason("for now somebody reads what is mailed")
@require_approval("change-approvers")
@approval_ttl("PT40S")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "sim.mail" }
unless { context.approvals.contains("change-approvers") };
"""
"""What the other policies say as well: between the two an admin changes while everything runs."""

TENANT = "acme"
TOOL_SECONDS = 20
IN_FLIGHT_SECONDS = 240
"""After this long, and a tool's own time, no request of a call can still arrive, if no worker sleeps on it."""

QUOTE_MICRO_USD = 20_000

UNDOES = {"make": "unmake", "book": "unbook"}
"""Which tool undoes which."""

WRITES = ("write", "sign", "mail", "pay", "make", "unmake", "book", "unbook")
EXTERNAL = ("mail", "pay", "book", "unbook")
HELD = ("sign", "pay")
WRITE = "files.write"
SHARED = "shared"
"""The file that steps side by side may both write."""

_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_SAID = {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}
_ASKED = {"type": "object", "properties": {"key": {"type": "string"}, "arguments": {"type": "object"}}}
_DONE = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}, "said": {"type": "array"}, "text": {"type": "string"}},
    "required": ["verdict", "said", "text"],
}
_TURN = re.compile(r"\[(\d+)\]")
_LARGE = 20_000
_ROUNDS = 7
_AT_ONCE = 3
_WITHOUT_FILES = 0.2
_SHARING = 0.4
_STRANGE = 45
_PLACES = ("one", "two", "three", "four")


class Stumble(Exception):
    """An agent's code that fails in its first attempt."""


@functools.cache
def contracts() -> tuple[Contract, ...]:
    """List the tools' contracts."""
    effects = {
        "read": EffectClass.READ_ONLY,
        "never": EffectClass.READ_ONLY,
        "mailed": EffectClass.READ_ONLY,
        "quote": EffectClass.METERED,
        "write": EffectClass.IDEMPOTENT_WRITE,
        "sign": EffectClass.IDEMPOTENT_WRITE,
        "mail": EffectClass.EXTERNAL_ACTION,
        "pay": EffectClass.EXTERNAL_ACTION,
        "make": EffectClass.IDEMPOTENT_WRITE,
        "unmake": EffectClass.IDEMPOTENT_WRITE,
        "book": EffectClass.EXTERNAL_ACTION,
        "unbook": EffectClass.EXTERNAL_ACTION,
    }
    return tuple(
        parse_contract(
            {
                "name": f"sim.{name}",
                "version": "1.0.0",
                "kind": Kind.TOOL,
                "effect": effect,
                "input": _ASKED if name == "mailed" else _TEXT,
                "output": PROBE_OUTPUT if name == "mailed" else _SAID,
                "in_flight_seconds": IN_FLIGHT_SECONDS,
                **({"probe": "sim.mailed"} if name == "mail" else {}),
                "failure_modes": ("timeout",),
                "timeout_seconds": TOOL_SECONDS,
                "price_micro_usd": QUOTE_MICRO_USD if effect is EffectClass.METERED else 0,
            }
        )
        for name, effect in effects.items()
    )


@functools.cache
def bundle() -> Bundle:
    """Compile the policies, once in a process."""
    return build_bundle(stacked(POLICIES), run_policy_compiler)


@functools.cache
def stricter() -> Bundle:
    """Compile the other policies."""
    texts = {**POLICIES, "sim.cedar": POLICIES["sim.cedar"] + STRICTER}
    return build_bundle(stacked(texts), run_policy_compiler)


def law_of(files: Mapping[str, str]) -> Bundle:
    """Find the policies that these files are."""
    return next(law for law in (bundle(), stricter()) if dict(law.files) == dict(files))


@functools.cache
def book() -> RuleBook:
    """Give the rule book."""
    return builtin_rules()


@functools.cache
def app() -> App:
    """Write the app: the agent and its workflows."""
    made = App("sim")
    tools = [*(contract.name for contract in contracts()), WRITE]
    made.agent("clerk", output=_DONE, input={"type": "object"}, tools=tools, run=clerk)
    a, b, c = ({"script": f"$.intent.input.{name}"} for name in "abc")
    retry = {"on": ["tool-failed", "timeout", "internal"], "attempts": 3, "backoff_seconds": 2}
    step: dict[str, Any] = {"uses": "clerk", "retry": retry, "timeout": 240}
    text = {"text": "$.intent.input.text"}
    tool: dict[str, Any] = {"retry": retry, "input": text}
    why = "they do not read each other"
    made.workflow(
        "line",
        steps=[
            {"id": "a", "input": a, **step},
            {"id": "b", "input": b, **step},
            {"id": "c", "input": c, **step},
        ],
    )
    made.workflow(
        "fan",
        steps=[
            {"id": "a", "input": a, **step},
            {"id": "left", "input": b, "after": ["a"], "reason": why, **step},
            {"id": "right", "input": c, "after": ["a"], "reason": why, "on_error": "human", **step},
            {"id": "join", "input": {"script": []}, "after": ["left", "right"], **step},
        ],
    )
    made.workflow(
        "turns",
        context=[{"id": "seen", "uses": "sim.read", "input": {"text": "context"}}],
        steps=[
            {
                "id": "again",
                "repeat": {"until": "steps.check.output.verdict == 'pass'", "max": 4},
                "do": [{"id": "work", "input": a, **step}, {"id": "check", "input": b, **step}],
            },
            {"id": "after", "input": c, **step},
        ],
    )
    made.workflow(
        "tools",
        steps=[
            {"id": "quote", "uses": "sim.quote", **tool},
            {"id": "write", "uses": "sim.write", **tool},
            {"id": "mail", "uses": "sim.mail", **tool},
            {"id": "sign", "uses": "sim.sign", **tool},
        ],
    )
    made.workflow(
        "saga",
        steps=[
            _undoable("one", "make", retry),
            _undoable("two", "book", retry),
            {"id": "a", "input": a, **step},
            _undoable("three", "make", retry),
            _undoable("four", "book", retry),
        ],
    )
    return made


def _undoable(id: str, tool: str, retry: dict[str, Any]) -> dict[str, Any]:
    undo = {"uses": f"sim.{UNDOES[tool]}", "input": {"text": f"$.steps.{id}.input.text"}}
    given = {"text": f"$.intent.input.{id}"}
    return {"id": id, "uses": f"sim.{tool}", "input": given, "retry": retry, "compensate": undo}


async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Do what the script says, one after the other; the same script always asks for the same calls."""
    said: list[str] = []
    answer = {"verdict": "pass", "said": said, "text": ""}
    turn = _TURN.search(ctx.step)
    for number, word in enumerate(given["script"]):
        kind, _, rest = word.partition(" ")
        match kind:
            case "stumble":
                if not ctx.feedback:
                    raise Stumble(rest)
            case "until":
                answer["verdict"] = "pass" if turn is None or int(turn[1]) >= int(rest) else "again"
            case "large":
                answer["text"] = "x" * _LARGE
            case "loop":
                for count in range(_STRANGE):
                    with contextlib.suppress(CallRefused):
                        await ctx.tool("sim.nobody" if count % 2 else "sim.read", {"number": count})
                for _ in range(_ROUNDS):
                    await ctx.tool("sim.read", {"text": f"{ctx.run}/{ctx.step}/{number}"})
            case "files":
                paths = (f"{ctx.step}/{number}/{at}" for at in range(_AT_ONCE))
                await asyncio.gather(*(ctx.tool(WRITE, {"path": path, "text": path}) for path in paths))
            case "share":
                await ctx.tool(WRITE, {"path": SHARED, "text": ctx.step})
            case _:
                text = f"{ctx.run}/{ctx.step}/{number}"
                done = await ctx.tool(f"sim.{kind}", {"text": text})
                said.append(str(done["said"]))
    return answer


def intent(chance: random.Random, number: int) -> IntentRequest:
    """Draw what a client asks for."""
    workflow = chance.choice(("line", "line", "fan", "turns", "tools", "saga", "saga"))
    given: dict[str, Any] = {name: _script(chance) for name in "abc"} | {"text": f"run {number}"}
    given |= {name: f"run {number} {name}" for name in _PLACES}
    if workflow == "turns":
        given["b"] = [*given["b"][:1], f"until {chance.randint(1, 3)}"]
    _let_write(workflow, given)
    tight = chance.random() < 0.15
    return IntentRequest(
        app="sim",
        workflow=workflow,
        title=f"run {number}",
        input=given,
        budget_usd="0.03" if tight else "5",
        deadline_seconds=chance.choice((60, 200)) if chance.random() < 0.1 else 7200,
    )


def _let_write(workflow: str, given: dict[str, Any]) -> None:
    """Let some runs write files, several at once and side by side; the chance is one of its own, so that no other changes."""
    chance = random.Random(f"files {given}")  # noqa: S311  # a script, not a secret
    if workflow not in ("line", "fan") or chance.random() < _WITHOUT_FILES:
        return
    shares = workflow == "fan" and chance.random() < _SHARING
    for name in "bc":
        given[name] = [*given[name], "files", *(["share"] if shares else [])]


def crowd_of(chance: random.Random, count: int) -> list[IntentRequest]:
    """Draw what a crowd asks for: short runs that call nothing and wait for nobody."""
    given: dict[str, Any] = {name: [] for name in "abc"} | {"text": "crowd"}
    given |= dict.fromkeys(_PLACES, "crowd")
    made = IntentRequest(app="sim", workflow="line", title="crowd", input=given, deadline_seconds=7200)
    return [msgspec.structs.replace(made, title=f"crowd {chance.randint(1, 99)}") for _ in range(count)]


def _script(chance: random.Random) -> list[str]:
    words = ["read", "write", "write", "mail", "quote", "sign", "pay", "stumble x", "large", "loop"]
    weights = [3, 3, 3, 2, 2, 1, 1, 1, 0.5, 0.3]
    return chance.choices(words, weights, k=chance.choice((1, 1, 2, 3)))
