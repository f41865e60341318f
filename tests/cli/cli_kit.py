"""What the tests of the command line share: an app that can do a little of everything, and a way to call commands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bailiwick.wiring.serving import ServingThread

HELD = """\
@id("test.hold-send")
@reason("sending needs a second person")
@require_approval("senders")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "mail.send" }
unless { context.approvals.contains("senders") };

@id("test.hold-urge")
@reason("urging needs somebody awake")
@require_approval("senders")
@escalate_to("chiefs") @escalate_after("PT1S")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "mail.urge" }
unless { context.approvals.contains("senders") };
"""

APP = f"""\
from bailiwick.app import App

app = App("post")
TEXT = {{"type": "object", "properties": {{"text": {{"type": "string"}}}}, "required": ["text"]}}
sent = []


@app.tool("mail.send", effect="idempotent-write", summary="Send a text")
def send(text: str, key: str, patch: str = "") -> dict:
    sent.append(text)
    return {{"text": text}}


@app.tool("mail.urge", effect="idempotent-write", summary="Urge by a text")
def urge(text: str, key: str) -> dict:
    return {{"text": text}}


@app.code_agent("greet", output={{"text": str}}, input=TEXT)
async def greet(ctx, given):
    ctx.say("one line\\nand another\\n")
    return {{"text": "hello " + given["text"]}}


@app.code_agent("break", output={{"text": str}}, input=TEXT)
async def broken(ctx, given):
    raise ValueError("it broke")


def one(name, uses, **more):
    step = {{"id": "work", "uses": uses, "input": {{"text": "$.intent.input.text", **more}}}}
    app.workflow(name, steps=[step])


one("greet", "greet")
one("break", "break")
one("send", "mail.send")
one("urge", "mail.urge")
app.workflow("send-patch", steps=[{{"id": "work", "uses": "mail.send",
             "input": {{"text": "$.intent.input.text", "patch": "$.intent.input.patch"}}}}])
app.policy("post.cedar", {HELD!r})
app.on_run("greet", "Greet", input={{"text": "world"}})
"""


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Result]


class Place(NamedTuple):
    """A served system and where it lies."""

    served: ServingThread
    folder: Path


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("BAILIWICK_", "OPENAI_"))
    }
    return {**kept, "HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **more}


def start(home: Path, *args: str, **more: str) -> "subprocess.Popen[str]":
    """Start `python -m bailiwick` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bailiwick", *args],
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )


def ended(process: "subprocess.Popen[str]") -> Result:
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Result(process.returncode, out, err)


def run(home: Path, *args: str, **more: str) -> Result:
    return ended(start(home, *args, **more))
