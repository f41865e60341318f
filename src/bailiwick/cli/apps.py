"""App files: loading the one app of a Python file, giving it another model, finding the script of a scripted one."""

import contextlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.app import App
from bailiwick.base import Category, Refusal
from bailiwick.testing import RunningModelServer, load_recording
from bailiwick.wiring import Provider, Settings

SCRIPTED = "scripted"


class AppNotLoaded(Refusal, code="app_not_loaded", category=Category.INVALID):
    """A file does not yield exactly one app."""

    def __init__(self, path: Path, reason: str, *, line: int = 0, remedy: str = "", **facts: object) -> None:
        place = f"{path}:{line}" if line else str(path)
        super().__init__(
            f"{place}: {reason}",
            remedy=remedy or 'an app file is Python that makes one App, for example: app = App("hello")',
            file=str(path),
            line=line,
            **facts,
        )


class UnknownProvider(Refusal, code="unknown_provider", category=Category.INVALID):
    """An agent's model belongs to a provider that nobody configured, or has no key for."""

    def __init__(self, model: str, reason: str, known: Sequence[str]) -> None:
        super().__init__(
            f"model {model!r} cannot be used: {reason}",
            remedy="write PROVIDER:NAME; for openai set OPENAI_API_KEY or OPENAI_BASE_URL, others belong in bailiwick.toml",
            model=model,
            providers=list(known),
        )


def load_app(path: Path) -> App:
    """Run a Python file and find the one app that it makes.

    The file's folder can be imported from, as if the file had been run by itself.

    Raises:
        AppNotLoaded: The file is missing, raises, or makes no app or several; with the line, where one is to blame.
    """
    path = path.expanduser().resolve()
    if not path.is_file():
        raise AppNotLoaded(path, "there is no such file")
    module = _run(path)
    found = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    if len(found) != 1:
        named = sorted(app.name for app in found.values())
        raise AppNotLoaded(path, f"it makes {len(found)} apps, not one", apps=named)
    return next(iter(found.values()))


def load_apps(paths: Sequence[Path]) -> list[App]:
    """Load several files; without any, the example apps that are shipped.

    Raises:
        AppNotLoaded: See `load_app`; or two apps have one name.
    """
    chosen = list(paths) if paths else shipped()
    apps: dict[str, App] = {}
    for path in chosen:
        app = load_app(path)
        if app.name in apps:
            raise AppNotLoaded(path, f"another file has an app named {app.name!r} too")
        apps[app.name] = app
    return list(apps.values())


def shipped() -> list[Path]:
    """List the example apps that come with the package."""
    return sorted(Path(str(package_files("bailiwick") / "_examples")).glob("*.py"))


def with_model(app: App, model: str) -> App:
    """Give another model to all agents that use the app's default."""
    for ref, agent in app.agents.items():
        if agent.model == app.model:
            app.agents[ref] = msgspec.structs.replace(agent, model=model)
    app.model = model
    return app


@contextlib.contextmanager
def with_scripted_models(
    settings: Settings, apps: Sequence[App]
) -> Iterator[tuple[Settings, tuple[str, ...]]]:
    """Run the scripted model server for apps that play a recording; yield the settings that point to it.

    Yields:
        The settings, and the names of the scripted models in use (none: nothing was started). A server that
        the settings already name is left alone.

    Raises:
        UnknownProvider: An agent's model belongs to a provider that is not configured.
        InvalidRecording: A recording cannot be played.
    """
    models = sorted({agent.model for app in apps for agent in app.agents.values() if agent.model})
    scripted = tuple(model for model in models if model.partition(":")[0] == SCRIPTED)
    with contextlib.ExitStack() as stack:
        if scripted and SCRIPTED not in settings.providers:
            recordings = [load_recording(app.recording) for app in apps if app.recording is not None]
            server = stack.enter_context(RunningModelServer(recordings))
            providers = {**settings.providers, SCRIPTED: Provider(server.base_url)}
            settings = msgspec.structs.replace(settings, providers=providers)
        check_providers(settings, models)
        yield settings, scripted


def check_providers(settings: Settings, models: Sequence[str]) -> None:
    """See before the start that every model has a provider, and OpenAI's own a key.

    Raises:
        UnknownProvider: One has not.
    """
    known = sorted(settings.providers)
    for model in models:
        name, colon, _ = model.partition(":")
        if not colon:
            raise UnknownProvider(model, "it names no provider", known)
        if name not in settings.providers:
            raise UnknownProvider(model, f"there is no provider {name!r}", known)
        provider = settings.providers[name]
        if not provider.api_key and provider.base_url.startswith("https://api.openai.com"):
            raise UnknownProvider(model, "there is no API key for it", known)


def _run(path: Path) -> Any:
    name = f"bailiwick_app_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AppNotLoaded(path, "it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    linecache.checkcache(str(path))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        place = Path(error.filename) if error.filename else path
        line, column = error.lineno or 0, error.offset or 0
        raise AppNotLoaded(place, error.msg, line=line, remedy="correct the line", column=column) from error
    except Refusal as refusal:
        line = _line(path, refusal)
        raise AppNotLoaded(
            path, refusal.message, line=line, remedy=refusal.remedy, refused=refusal.code, cause=refusal.facts
        ) from refusal
    except (Exception, SystemExit) as error:  # an author's file may raise anything; its place is what helps
        reason = f"{type(error).__name__}: {error}"
        raise AppNotLoaded(path, reason, line=_line(path, error), remedy="correct the line") from error
    return module


def _line(path: Path, error: BaseException) -> int:
    """Find the file's own line that led to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path) and frame.lineno is not None]
    return lines[-1] if lines else 0
