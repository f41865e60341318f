"""`bailiwick run FILE`: an app, embedded with its API on a data directory of its own, watched to its end."""

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import typer

from bailiwick.app import App
from bailiwick.base import Category, Refusal
from bailiwick.cli.approvals import show_approval
from bailiwick.cli.apps import load_app, with_model, with_scripted_models
from bailiwick.cli.client import Client, path_of
from bailiwick.cli.exits import ExitCode, exit_of_run
from bailiwick.cli.reviewer import APPROVER, REVIEWER, second_identity
from bailiwick.cli.runs import show_cost, tell_rest
from bailiwick.cli.showing import say
from bailiwick.cli.timeline import Timeline
from bailiwick.cli.watching import watch
from bailiwick.stores import make_folder, open_private
from bailiwick.telemetry import configure_logging
from bailiwick.wiring import Settings, load_settings
from bailiwick.wiring.serving import KEY_FILE, ServingThread

LOG_FILE = "bailiwick.log"


class NothingToRun(Refusal, code="nothing_to_run", category=Category.INVALID):
    """An app does not say what `run` should submit."""

    def __init__(self, path: Path, app: App) -> None:
        super().__init__(
            f"{path}: the app {app.name!r} does not say what to run",
            remedy='add for example: app.on_run("greet", "Greet the world", input={"name": "world"})',
            file=str(path),
            workflows=sorted(app.workflows),
        )


def run(
    file: Annotated[Path, typer.Argument(help="A Python file that makes one App.")],
    model: Annotated[str, typer.Option(help="Use this model instead, for example openai:gpt-5-mini.")] = "",
    data_dir: Annotated[
        str, typer.Option(help="Where to keep the data; else a new directory.", show_default=False)
    ] = "",
    approve: Annotated[
        bool,
        typer.Option(
            "--approve", "-y", help="Approve what is held, as the second identity; it is shown first."
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="Stay while it waits for a person; else leave with exit code 3.")
    ] = True,
) -> None:
    """Run an app file and watch it: policy, budget, approval and audit on."""
    app = load_app(file)
    if model:
        with_model(app, model)
    if app.intent is None:
        raise NothingToRun(file, app)
    settings = _settings(app, data_dir)
    make_folder(settings.folder)
    with (
        open_private(settings.folder / LOG_FILE, "a") as log,
        with_scripted_models(settings, [app]) as (reaching, scripted),
    ):
        configure_logging(json=True, level=settings.log_level, stream=log)
        tell_models(scripted)
        say(f"data directory: {settings.folder}", "dim")
        with ServingThread(reaching, [app]) as served:
            approver = served.ask(second_identity(served.system))
            session = _Session(served.url, settings.folder, approver, approve=approve, wait=wait)
            code = session.run(app)
    raise typer.Exit(code)


def tell_models(scripted: tuple[str, ...]) -> None:
    """Say it when no model is behind an app."""
    if scripted:
        say(f"scripted model ({', '.join(scripted)}): plays a recording, no provider is called", "yellow")


def _settings(app: App, data_dir: str) -> Settings:
    settings = load_settings(data_dir=data_dir or None, port=0, host="127.0.0.1")
    if data_dir:
        return settings
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return msgspec.structs.replace(settings, data_dir=str(settings.folder / "run" / f"{app.name}-{now}"))


class _Session:
    """One run, watched by whoever started it, with a second identity at hand."""

    def __init__(self, url: str, folder: Path, approver: Path, *, approve: bool, wait: bool) -> None:
        self._url = url
        self._folder = folder
        self._approver = approver
        self._approve = approve
        self._wait = wait
        self._id = ""
        self._key = (folder / KEY_FILE).read_text("utf-8").strip()

    def run(self, app: App) -> ExitCode:
        """Submit what the app says, watch it, and tell how it ended."""
        with Client(self._url, self._key) as client:
            intent = {"app": app.name, **msgspec.to_builtins(app.intent)}
            self._id = client.post("/v1/runs", intent, {"Idempotency-Key": str(uuid4())})["id"]
            try:
                timeline = watch(client, self._id, self._rest)
            except KeyboardInterrupt:
                say(f"stopped; what is done is kept. {self._again()}", "yellow", stderr=True)
                return ExitCode.INTERRUPTED
            self._sum_up(client, timeline)
        return exit_of_run(timeline.status)

    def _rest(self, timeline: Timeline) -> bool:
        """Deal with a run that waits; answer whether to stay."""
        flags = f" --data-dir {self._folder}"
        with Client(self._url, self._key) as client:
            tell_rest(client, self._id, timeline, flags, APPROVER)
        if timeline.status == "blocked":
            say(self._again())
            return False
        if self._approve or (sys.stdin.isatty() and sys.stdout.isatty()):
            with Client(self._url, self._approver.read_text("utf-8").strip()) as second:
                return self._decide(second, timeline.approval)
        return self._wait

    def _decide(self, second: Client, approval: str) -> bool:
        found = second.get(path_of("approvals", approval))
        if self._approve:
            show_approval(found)
            return self._grant(second, found)
        while True:
            answer = input(f"approve as second identity {REVIEWER!r}? [y/N/show] ").strip().lower()
            match answer:
                case "show" | "s":
                    show_approval(found)
                case "y" | "yes":
                    return self._grant(second, found)
                case _:
                    say("not approved; it waits for whoever decides it")
                    return self._wait

    def _grant(self, second: Client, found: dict[str, Any]) -> bool:
        row = found["approval"]
        second.post(
            path_of("approvals", row["id"], ":approve"),
            {"digest": row["digest"], "reason": "from the terminal"},
        )
        say(
            f"approved as the second identity {REVIEWER!r}: {row['capability']} {row['digest']}", "bold green"
        )
        return True

    def _sum_up(self, client: Client, timeline: Timeline) -> None:
        detail = client.get(path_of("runs", self._id))
        if timeline.ended and detail["output"] is not None:
            say("\noutput", "bold")
            say(json.dumps(detail["output"], indent=2, ensure_ascii=False))
        cost = client.pages(path_of("runs", self._id, "/cost"), "lines")
        if cost["lines"]:
            say("\ncost", "bold")
            show_cost(cost)
        file = shlex.join(sys.argv[2:3])
        say(f"\nlook further: bailiwick up {file} --data-dir {shlex.quote(str(self._folder))}", "dim")

    def _again(self) -> str:
        return f"go on with: bailiwick up FILE --data-dir {shlex.quote(str(self._folder))}"
