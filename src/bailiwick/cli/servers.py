"""`bailiwick up`, `server start` and `model-server`: programs that stay up until they are told to stop."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from bailiwick.app import App
from bailiwick.cli.apps import load_app, load_apps, with_model, with_scripted_models
from bailiwick.cli.running import LOG_FILE, tell_models
from bailiwick.cli.showing import say
from bailiwick.stores import make_folder, open_private
from bailiwick.telemetry import configure_logging
from bailiwick.testing import load_recording, serve
from bailiwick.wiring import Embedded, Settings, load_settings
from bailiwick.wiring.serving import KEY_FILE, serving
from bailiwick.wiring.settings import FIRST_STEPS

server = typer.Typer(help="Run the platform as a service.", no_args_is_help=True, rich_markup_mode=None)

_WORDS = (signal.SIGINT, signal.SIGTERM)
Files = Annotated[list[Path] | None, typer.Argument(metavar="[APP.py]...", help="App files.")]
DataDir = Annotated[str | None, typer.Option(help="Where the data lies (BAILIWICK_DATA_DIR, ~/.bailiwick).")]
Store = Annotated[
    str | None,
    typer.Option(help="A PostgreSQL, postgres://...; else SQLite in the data directory (BAILIWICK_STORE)."),
]
Port = Annotated[
    int | None, typer.Option(help="0 takes a free one (BAILIWICK_PORT, 7080).", min=0, max=65535)
]


def up(
    files: Files = None,
    data_dir: DataDir = None,
    store: Store = None,
    port: Port = None,
    model: Annotated[str, typer.Option(help="Use this model instead, for example openai:gpt-5-mini.")] = "",
    first_steps: Annotated[
        bool,
        typer.Option(
            "--first-steps", help="Let keys decide at once, whoever made them: for trying it out alone."
        ),
    ] = False,
) -> None:
    """Run the platform with its API in this terminal; without app files, with the shipped examples."""
    apps = load_apps(files if files is not None else [])
    for app in apps:
        if model:
            with_model(app, model)
    profile = FIRST_STEPS if first_steps else None
    settings = load_settings(data_dir=data_dir, store=store, port=port, profile=profile)
    make_folder(settings.folder)
    with open_private(settings.folder / LOG_FILE, "a") as log:
        configure_logging(json=True, level=settings.log_level, stream=log)
        _stay_up(settings, apps)


@server.callback()
def _server() -> None:
    pass


@server.command()
def start(
    files: Files = None,
    data_dir: DataDir = None,
    store: Store = None,
    host: Annotated[str | None, typer.Option(help="Where to listen (BAILIWICK_HOST, 127.0.0.1).")] = None,
    port: Port = None,
    config: Annotated[
        Path | None, typer.Option(help="A settings file; else bailiwick.toml, if it is here.")
    ] = None,
) -> None:
    """Run the platform as a service: settings from file and environment, JSON log on standard error."""
    settings = load_settings(config, data_dir=data_dir, store=store, host=host, port=port)
    apps = [load_app(path) for path in files] if files is not None else []
    configure_logging(json=True, level=settings.log_level)
    _stay_up(settings, apps)


def _stay_up(settings: Settings, apps: Sequence[App]) -> None:
    with (
        with_scripted_models(settings, apps) as (reaching, scripted),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        tell_models(scripted)
        runner.run(_serve(reaching, apps))


async def _serve(settings: Settings, apps: Sequence[App]) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    hasten: Callable[[], None] = ending.set

    def told() -> None:
        """Drain at the first signal, end at the second; a third one ends the process whatever it is at."""
        if ending.is_set():
            for each in _WORDS:
                loop.remove_signal_handler(each)
                signal.signal(
                    each, signal.SIG_DFL
                )  # not Python's: what hears no end would outlive an exception
            hasten()
        ending.set()

    for number in _WORDS:
        loop.add_signal_handler(number, told)
    async with serving(settings, apps) as (system, url):
        hasten = system.hasten
        _greet(system, url, apps)
        await ending.wait()
        say("stopping when the calls on their way are done; what is done is kept", stderr=True)


def _greet(system: Embedded, url: str, apps: Sequence[App]) -> None:
    folder = system.settings.folder
    say(f"bailiwick {version('bailiwick')} listens on {url}", "bold")
    say(f"data directory: {folder}")
    if system.first_key:
        say(f"the admin key lies in {folder / KEY_FILE}, readable by you alone", "yellow")
    if not system.settings.kept_apart_hours:
        say(
            "first steps: keys decide at once, whoever made them, so four eyes may be one person's; not for production",
            "yellow",
        )
    for app in apps:
        say(f"app {app.name}: {', '.join(sorted(app.workflows)) or 'no workflows'}")
    if not apps:
        say("no app is loaded; start again with: bailiwick up APP.py", "yellow")


def model_server(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7081,
    recording: Annotated[
        list[Path] | None, typer.Option(help="A recording to play; may be repeated.")
    ] = None,
) -> None:
    """Run the scripted model server (OpenAI's chat dialect); no model is behind it."""
    recordings = [load_recording(path) for path in recording] if recording is not None else []
    say(
        f"scripted model server on http://{host}:{port}/v1: plays recordings, no model is behind it", "yellow"
    )
    serve(host, port, recordings)


def show_version() -> None:
    """Show the version."""
    say(f"bailiwick {version('bailiwick')}")
