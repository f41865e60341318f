"""`bailiwick demo`: a governed change to a real repository, from the intent to the proof."""

import asyncio
import time
from importlib.resources import files as package_files
from pathlib import Path
from typing import Annotated

import typer

from bailiwick.cli.exits import ExitCode

Folder = Annotated[Path | None, typer.Option("--dir", help="Where to work; run again there, it goes on.")]
Model = Annotated[str | None, typer.Option(help="For example openai:gpt-5-mini; default: a scripted model.")]
Act = Annotated[str, typer.Option(help="1: the delivery, 2: also what guards refuse, all: both.")]


def demo_command(dir: Folder = None, model: Model = None, act: Act = "all") -> None:
    """Watch a governed piece of work: planned, checked, written, tested, reviewed, approved, landed, proven."""
    from bailiwick.cli.apps import load_app, with_model, with_scripted_models  # noqa: PLC0415 - heavy, see lazy.py
    from bailiwick.cli.demo_acts import play  # noqa: PLC0415
    from bailiwick.cli.showing import say  # noqa: PLC0415
    from bailiwick.stores import make_folder  # noqa: PLC0415
    from bailiwick.telemetry import configure_logging  # noqa: PLC0415
    from bailiwick.wiring import load_settings  # noqa: PLC0415

    configure_logging(json=True, level="error")
    folder = (dir or Path.home() / ".bailiwick" / f"demo-{int(time.time())}").expanduser().resolve()
    make_folder(folder)
    app = load_app(Path(str(package_files("bailiwick") / "_examples" / "delivery" / "app.py")))
    if model is not None:
        app = with_model(app, model)
    settings = load_settings(data_dir=str(folder / "data"), port=0)
    say(f"Bailiwick demo in {folder}; to go on after an interruption: bailiwick demo --dir {folder}")
    with with_scripted_models(settings, [app]) as (ready, scripted):
        if scripted:
            say(
                "The model is scripted: it plays a recording over HTTP. No provider is called, no key is used."
            )
        if not asyncio.run(play(app, ready, folder, act)):
            raise typer.Exit(ExitCode.FAILED)
