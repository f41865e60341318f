"""Following a run in the demo: each event as a line, the model's words as they come."""

import time
from collections.abc import Callable
from typing import Any

from bailiwick.cli.announce import STREAMING, Announcer
from bailiwick.cli.showing import console, say
from bailiwick.cli.text import money, visible
from bailiwick.policy import Principal
from bailiwick.run import Run
from bailiwick.wiring import Embedded

Until = Callable[[Run], bool]
_WAIT_SECONDS = 5.0
_MAX_WORDS = 100


class Follower:
    """Prints what happens in one run until a condition holds."""

    def __init__(self, system: Embedded, viewer: Principal, announcer: Announcer) -> None:
        self._system = system
        self._viewer = viewer
        self._announcer = announcer
        self._begun = time.monotonic()
        self._words = ""
        self.spoken: list[str] = []

    async def follow(self, run: str, until: Until, *, after: int = 0) -> tuple[Run, int]:
        """Print events with seq > `after` until the condition holds for the run's state.

        Returns:
            The state, and the seq of the last event printed.
        """
        platform = self._system.platform
        watcher = platform.streams.watch(run)
        if after:
            watcher.take()  # what was said before was shown before
        try:
            while True:
                for frame in watcher.take():
                    self._frame(frame)
                for event in await platform.reading.events(self._viewer, run, after=after):
                    after = event["seq"]
                    self._event(event)
                detail = await platform.reading.detail(self._viewer, run)
                if detail.run.version == after and until(detail.run):
                    return detail.run, after
                await watcher.wait(_WAIT_SECONDS)
        finally:
            platform.streams.leave(run, watcher)

    def _frame(self, frame: dict[str, Any]) -> None:
        if frame.get("type") != "text":
            return
        if frame["step"] not in self.spoken:
            self.spoken.append(frame["step"])
        self._words += visible(str(frame["text"]), lines=True)
        self._announcer.say(STREAMING)

    def _flush(self) -> None:
        words = " ".join(self._words.split())
        self._words = ""
        if words:
            cut = words if len(words) <= _MAX_WORDS else words[: _MAX_WORDS - 1] + "…"
            say(f"             “{cut}”", "dim italic")

    def _line(self, text: str, style: str = "") -> None:
        self._flush()
        console().print(f"  {time.monotonic() - self._begun:6.1f} s  ", end="", style="dim")
        say(text, style)

    def _event(self, event: dict[str, Any]) -> None:
        call = event.get("call")
        if call is not None:
            self._call(call, event)
        for move in event.get("moves", ()):
            self._move(move)
        if event["kind"] == "run.created":
            self._line(f"run created, policy {event['policy_version'][:12]}, plan {event['plan'][:12]}")
        if event["kind"] == "run.cancel_requested":
            self._line(f"cancel requested by {event['by']}", "yellow")
        if event["kind"] == "run.closed":
            style = "bold green" if event["status"] == "completed" else "bold yellow"
            self._line(
                f"run {event['status']}" + (f": {event['reason']}" if event.get("reason") else ""), style
            )

    def _call(self, call: dict[str, Any], event: dict[str, Any]) -> None:
        name = call["capability"].removesuffix("@1.0.0")
        match call["state"]:
            case "intended" if not call.get("model"):
                self._line(f"{name}: intent recorded, dispatched")
            case "done":
                cost = f", {money(call['cost'])}" if call.get("cost") else ""
                self._line(f"{name}: done{cost}{_tests(event)}")
            case "held":
                self._line(f"{name}: held by {', '.join(call.get('policies', ()))}", "bold yellow")
            case "granted":
                self._line(f"{name}: granted, once", "green")
            case "refused" | "failed" | "canceled" | "unknown":
                self._line(f"{name}: {call['state']}: {call.get('reason', '')}", "red")

    def _move(self, move: dict[str, Any]) -> None:
        step, to = move["step"], move["to"]
        if to in ("ready", "running") and not move.get("iteration"):
            if to == "running":
                self._line(
                    f"{step}: running (attempt {move.get('attempt', 1)}, epoch {move.get('epoch', 0)})"
                )
            return
        detail = f": {move['reason']}" if move.get("reason") else ""
        if move.get("iteration"):
            detail = f", turn {move['iteration']}{detail}"
        if move.get("rules"):
            detail += f" [rules hold: {', '.join(move['rules'])}]"
        style = {"failed": "red", "blocked": "yellow", "waiting": "yellow", "succeeded": "green"}.get(to, "")
        self._line(f"{step}: {to}{detail}", style)


def _tests(event: dict[str, Any]) -> str:
    outcome = (event.get("payload") or {}).get("outcome")
    if not isinstance(outcome, dict) or "exit_code" not in outcome:
        return ""
    last = [line for line in str(outcome["output"]).splitlines() if line.strip()]
    return f" (exit {outcome['exit_code']}: {last[-1] if last else ''})"
