"""Watching: a run live, as a panel that moves on a terminal and as plain lines elsewhere."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from rich.console import Group
from rich.live import Live
from rich.text import Text

from bailiwick.cli.client import Client, path_of
from bailiwick.cli.showing import console
from bailiwick.cli.text import money, visible
from bailiwick.cli.timeline import Line, Timeline

_TAIL_LINES = 4
_TAIL_CHARACTERS = 4000
_REFRESH = 8
_PAGE = 500

Pause = Callable[[Timeline], bool]
"""Called when the run rests (it waits for a person, or is blocked); answers whether to go on watching."""


class _View(Protocol):
    def line(self, line: Line, timeline: Timeline) -> None:
        """Show a line for good."""

    def frame(self, frame: dict[str, Any], timeline: Timeline) -> None:
        """Show a piece of live output."""

    def resting(self) -> contextlib.AbstractContextManager[None]:
        """Keep still, so that somebody can be asked something."""


def watch(client: Client, run: str, pause: Pause) -> Timeline:
    """Show a run from its first event on, until it ends or `pause` says to leave.

    Returns:
        What is known of the run then.
    """
    timeline = Timeline()
    screen = console()
    with _open(live=screen.is_terminal and not screen.is_dumb_terminal) as view:
        _catch_up(client, run, timeline, view)
        rested = ("", "")
        while not timeline.ended:
            if _rest(timeline) not in (rested, ("", "")):
                rested = _rest(timeline)
                with view.resting():
                    if not pause(timeline):
                        return timeline
            _follow(client, run, timeline, view)
    return timeline


def _rest(timeline: Timeline) -> tuple[str, str]:
    """Name what the run waits for; empty while it moves."""
    match timeline.status:
        case "waiting-for-approval":
            return timeline.status, timeline.approval
        case "blocked":
            return timeline.status, timeline.reason
        case _:
            return "", ""


def _catch_up(client: Client, run: str, timeline: Timeline, view: _View) -> None:
    """Read what is recorded already, so that a rest of long ago asks nobody anything."""
    while True:
        page = client.get(path_of("runs", run, "/events"), after=timeline.seq, limit=_PAGE)["events"]
        for event in page:
            for line in timeline.apply(event):
                view.line(line, timeline)
        if len(page) < _PAGE:
            return


def _follow(client: Client, run: str, timeline: Timeline, view: _View) -> None:
    """Take live items until the run ends or comes to another rest."""
    before = _rest(timeline)
    for item in client.stream(path_of("runs", run, "/events"), timeline.seq):
        if item.seq:
            for line in timeline.apply(item.data):
                view.line(line, timeline)
            if timeline.ended or _rest(timeline) not in (before, ("", "")):
                return
            before = _rest(timeline)
        elif item.kind == "frame" and timeline.is_new(item.data):
            view.frame(item.data, timeline)


@contextlib.contextmanager
def _open(*, live: bool) -> Iterator[_View]:
    if not live:
        plain = _Plain()
        yield plain
        plain.flush()
        return
    with Live(console=console(), refresh_per_second=_REFRESH, transient=True) as shown:
        yield _Panel(shown)


class _Plain:
    """Lines only; live text is shown line by line, with the step that wrote it in front."""

    def __init__(self) -> None:
        self._source = ("", "")
        self._text = ""

    def line(self, line: Line, timeline: Timeline) -> None:
        self.flush()
        console().print(_stamped(line, timeline))

    def frame(self, frame: dict[str, Any], timeline: Timeline) -> None:
        source = (frame["step"], frame["key"])
        if source != self._source:
            self.flush()
            self._source = source
        *whole, self._text = (self._text + str(frame.get("text", ""))).split("\n")
        for text in whole:
            self._print(text)

    def flush(self) -> None:
        if self._text:
            self._print(self._text)
        self._text = ""

    def resting(self) -> contextlib.AbstractContextManager[None]:
        self.flush()
        return contextlib.nullcontext()

    def _print(self, text: str) -> None:
        console().print(Text(f"          {visible(self._source[0])} | {visible(text)}", "dim"))


class _Panel:
    """Lines that stay, and below them what moves: the text that streams, the steps in work, the money."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._tails: dict[str, str] = {}

    def line(self, line: Line, timeline: Timeline) -> None:
        self._live.console.print(_stamped(line, timeline))
        self._tails = {step: text for step, text in self._tails.items() if step in timeline.running}
        self._draw(timeline)

    def frame(self, frame: dict[str, Any], timeline: Timeline) -> None:
        step = frame["step"]
        self._tails[step] = (self._tails.get(step, "") + str(frame.get("text", "")))[-_TAIL_CHARACTERS:]
        self._draw(timeline)

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def _draw(self, timeline: Timeline) -> None:
        width = max(20, self._live.console.width - 4)
        parts = []
        for step, text in self._tails.items():
            lines = [line[-width:] for line in visible(text, lines=True).split("\n") if line.strip()]
            shown = "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
            parts.append(Text(f"{visible(step)}\n{shown}", "dim", overflow="ellipsis", no_wrap=True))
        parts.append(Text(_foot(timeline), "reverse"))
        self._live.update(Group(*parts))


def _foot(timeline: Timeline) -> str:
    steps = ", ".join(timeline.running) or "nothing"
    spent, left = money(timeline.spent), money(timeline.remaining)
    return visible(f" {timeline.status} | running: {steps} | spent {spent} | left {left} ")


def _stamped(line: Line, timeline: Timeline) -> Text:
    passed = max(0, line.at - timeline.began) / 1_000_000
    return Text.assemble((f"{passed:8.2f}  ", "dim"), (visible(line.text), line.style))
