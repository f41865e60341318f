"""Every command that is printed for a blocked run, run as it is printed, helps it on: each kind, each way out."""

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import Call, Place

from bailiwick.base import Instant
from bailiwick.cli.apps import load_app
from bailiwick.cli.reviewer import second_identity
from bailiwick.plan import Plan
from bailiwick.run import Created, Move, StepsMoved, StepStatus, evolve
from bailiwick.service.people.ways import ways_out
from bailiwick.telemetry import configure_logging
from bailiwick.wiring import Settings
from bailiwick.wiring.serving import ServingThread

APP = """\
from dataclasses import dataclass

from bailiwick.app import App

app = App("stuck")


@dataclass
class Wired:
    id: str


NOTHING = {"type": "object"}
mended = []


@app.tool("bank.wire", effect="external-action", failure_modes=("timeout",))
def wire(text: str) -> Wired:
    raise ConnectionResetError("the line went dead")


@app.tool("bank.look", effect="read-only")
def look(text: str) -> str:
    return text


@app.tool("bank.quote", effect="metered", price_micro_usd=600_000)
def quote(text: str) -> str:
    return text


@app.tool("bank.book", effect="idempotent-write")
def book(text: str, key: str) -> str:
    return text


@app.tool("bank.unbook", effect="idempotent-write")
def unbook(text: str, key: str) -> str:
    if text not in mended:
        mended.append(text)
        raise_refusal()
    return text


def raise_refusal():
    from bailiwick.contract import ErrorCategory
    from bailiwick.ports import CallFailed
    raise CallFailed(ErrorCategory.TOOL_FAILED, "the desk is closed")


@app.code_agent("fickle", output=NOTHING)
async def fickle(ctx, given):
    if not ctx.feedback:
        raise ValueError("not today")
    return {}


@app.code_agent("circle", output=NOTHING, tools=["bank.look"])
async def circle(ctx, given):
    for n in range(4):
        await ctx.tool("bank.look", {"text": str(n)})
    return {}


@app.code_agent("spender", output=NOTHING, tools=["bank.quote"])
async def spender(ctx, given):
    for n in range(2):
        await ctx.tool("bank.quote", {"text": str(n)})
    return {}


def one(name, *steps, **more):
    app.workflow(name, steps=list(steps), **more)


TEXT = {"text": "$.intent.input.text"}
one("unknown", {"id": "work", "uses": "bank.wire", "input": TEXT})
one("unanswered", {"id": "work", "uses": "bank.wire", "input": TEXT},
    {"id": "read", "uses": "bank.look", "input": {"text": "$.steps.work.output.id"}, "on_error": "human"})
one("money", {"id": "work", "uses": "spender", "input": {}})
one("person", {"id": "work", "uses": "fickle", "input": {}, "on_error": "human"})
one("limit", {"id": "work", "uses": "circle", "input": {}, "limits": {"calls": 2}})
one("halt", {"id": "work", "uses": "bank.look", "input": TEXT})
one("undo", {"id": "work", "uses": "bank.book", "input": TEXT,
             "compensate": {"uses": "bank.unbook", "input": {"text": "$.steps.work.input.text"}}})
one("by-hand", {"id": "work", "uses": "bank.book", "input": TEXT})
app.policy("stuck.cedar", '''
@id("stuck.wire")
@reason("it may be tried")
permit (principal, action == Action::"tool.call", resource) when { resource.name == "bank.wire" };
''')
"""

COMMAND = re.compile(r"^ *(bailiwick .*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("stuck")
    path = tmp_path_factory.mktemp("apps") / "stuck.py"
    path.write_text(APP)
    configure_logging(json=True, level="warning", stream=io.StringIO())
    with ServingThread(Settings(data_dir=str(folder), port=0), [load_app(Path(path))]) as served:
        served.ask(second_identity(served.system))
        yield Place(served, folder)


def typed(command: str) -> list[str]:
    """The words that a shell makes of a command that somebody pastes."""
    made = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True, text=True
    )
    return made.stdout.split("\0")[:-1]


def blocked(call: Call, kind: str, text: str) -> str:
    """Bring a run to where it is blocked."""
    run = call(
        "runs",
        "submit",
        "--app",
        "stuck",
        "--workflow",
        kind,
        "--budget-usd",
        "1",
        "--input",
        f'{{"text": "{text}"}}',
    ).out.strip()
    if kind in ("undo", "by-hand"):
        assert call("runs", "watch", run).code == 0
        assert call("runs", "rollback", run, "--reason", "a change of mind").code == 0
    if kind == "unanswered":
        watched = call("runs", "watch", run, "--no-wait")
        (done,) = [line for line in COMMAND.findall(watched.out) if "--done --reason" in line]
        assert call(*typed(done)[1:]).code == 0
    return run


def printed(call: Call, run: str) -> list[str]:
    """What a watch prints for a run that rests, which `runs get` prints too."""
    watched = call("runs", "watch", run, "--no-wait")
    assert watched.code == 3, watched
    commands = COMMAND.findall(watched.out)
    assert commands, watched.out
    assert COMMAND.findall(call("runs", "get", run).out) == commands
    return [command for command in commands if run in command or "halts" in command]


KINDS = {
    "unknown": ["--done --result", "--done --reason"],
    "unanswered": ["--done --result"],
    "money": ["--add-usd"],
    "person": ["runs resume"],
    "limit": ["runs resume"],
    "halt": ["halts lift"],
    "undo": ["runs resume", "runs resolve"],
    "by-hand": ["runs resolve"],
}


@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind, ways in KINDS.items() for way in ways])
def test_a_printed_command_helps_the_run_on(call: Call, kind: str, way: str) -> None:
    halt = ""
    if kind == "halt":
        assert call("halts", "set", "tool", "bank.look", "--reason", "stop").code == 0
    run = blocked(call, kind, f"{kind} {way}")
    (command,) = [each for each in printed(call, run) if way in each]
    done = call(*typed(command)[1:])
    assert done.code == 0, (command, done)
    if kind == "unanswered":  # the answer is known now, and its reader can be let go on
        (command,) = [each for each in printed(call, run) if "runs resume" in each]
        assert call(*typed(command)[1:]).code == 0
    ended = call("runs", "watch", run, "--no-wait")
    assert ended.code in ((0, 1) if kind in ("undo", "by-hand") else (0,)), (command, ended, halt)


def test_each_way_is_walked(call: Call) -> None:
    """A way that is printed and not walked above would be a promise that nobody tried."""
    for kind, ways in KINDS.items():
        if kind == "halt":
            continue
        run = blocked(call, kind, f"{kind} at rest")
        others = [each for each in printed(call, run) if not any(way in each for way in ways)]
        assert [each for each in others if "--failed" not in each and "runs resume" not in each] == [], kind


def test_that_it_never_happened_is_taken_after_the_quarantine(call: Call) -> None:
    run = blocked(call, "unknown", "early")
    (command,) = [each for each in printed(call, run) if "--failed" in each]
    refused = call(*typed(command)[1:])
    assert "in_quarantine" in refused.err
    owned = call(*typed(command)[1:], "--despite-quarantine")
    assert owned.code == 0
    assert call("runs", "watch", run).code == 1


def test_the_form_of_an_answer_is_printed_and_a_wrong_one_refused_with_it(call: Call) -> None:
    run = blocked(call, "unknown", "form")
    assert printed(call, run)  # it rests by then
    assert call("runs", "resolve", run, "--form").json() == {"id": "TEXT"}
    refused = call("runs", "resolve", run, "--done", "--result", '{"id": 7}', "--reason", "looked")
    assert refused.code != 0
    assert "evidence_unfit" in refused.err
    assert '"form"' in refused.err or "form" in refused.err
    missing = call("runs", "resolve", run, "--reason", "looked")
    assert missing.code != 0
    assert "--done or --failed" in missing.err


@pytest.mark.parametrize("step", ["$context", "$plan", "build[2].test", "research{3}.search", "a b", "it's"])
def test_a_printed_command_names_its_step_whatever_a_shell_makes_of_the_name(step: str) -> None:
    opening = Created("run_1", "t", "a", "w", "", "ann", "0" * 64, "", 1, Instant(0), Instant(0))
    plan = Plan(name="w", version="1.0.0", objective="", nodes=())
    run = evolve(
        evolve(None, opening), StepsMoved(Instant(0), (Move(step, StepStatus.BLOCKED, reason="why"),))
    )
    for way in ways_out(run, plan, {}):
        assert typed(way.command)[:4] == ["bailiwick", "runs", "resume", "run_1"]
        assert typed(way.command)[5] == step
