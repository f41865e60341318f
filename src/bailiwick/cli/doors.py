"""Doors: which server a command speaks to, with which key; found by flags, environment, then the data directory."""

import contextlib
import inspect
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, Self

import msgspec
import typer

from bailiwick.base import Category, Refusal
from bailiwick.cli.client import Client
from bailiwick.cli.showing import Output, show_json

P = ParamSpec("P")

DEFAULT_DATA_DIR = "~/.bailiwick"
SERVER_FILE = "server.json"


class NoServer(Refusal, code="no_server", category=Category.UNAVAILABLE):
    """No address was given, and no server is announced in the data directory."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"no server runs for the data directory {folder}: {reason}",
            remedy="start one with: bailiwick up; or name one with --url (or BAILIWICK_URL)",
            data_dir=str(folder),
        )


class NoKey(Refusal, code="no_key", category=Category.UNAUTHENTICATED):
    """There is a server, but no key for it."""

    def __init__(self, reason: str, **facts: object) -> None:
        super().__init__(
            f"no API key: {reason}",
            remedy="give one with --key, --key-file, --as NAME (a NAME.key in the data directory) or BAILIWICK_API_KEY",
            **facts,
        )


class Choice(msgspec.Struct, frozen=True):
    """What the flags say about the server and the key; empty: look further."""

    url: str = ""
    key: str = ""
    key_file: Path | None = None
    identity: str = ""
    data_dir: str = ""

    @property
    def folder(self) -> Path:
        """The data directory."""
        chosen = self.data_dir or os.environ.get("BAILIWICK_DATA_DIR", DEFAULT_DATA_DIR)
        return Path(chosen).expanduser()


class Door:
    """What a command works with: the client, found when it is first asked for, and how to answer."""

    def __init__(self, choice: Choice, output: Output) -> None:
        self._choice = choice
        self._opened = contextlib.ExitStack()
        self.output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @cached_property
    def client(self) -> Client:
        """The server that the flags, the environment or the data directory name.

        Raises:
            NoServer, NoKey: See `find_client`.
        """
        return self._opened.enter_context(find_client(self._choice))

    def show(self, value: Any, table: Callable[[Any], None]) -> None:
        """Answer with the value as JSON, or with what `table` makes of it."""
        if self.output is Output.JSON:
            show_json(value)
        else:
            table(value)


def find_client(choice: Choice) -> Client:
    """Find the server and the key.

    A key that lies in a data directory is shown to that directory's server alone.

    Raises:
        NoServer: None was named and none runs here.
        NoKey: None was given and none lies beside the server.
    """
    here = _announced(choice.folder)
    url = choice.url or os.environ.get("BAILIWICK_URL", "")
    if not url:
        if here is None:
            raise NoServer(choice.folder, f"there is no {SERVER_FILE}")
        url = here
    return Client(url, _key(choice, ours=here is not None and url.rstrip("/") == here.rstrip("/")))


def _announced(folder: Path) -> str | None:
    """Read where this directory's server listens; None when none runs."""
    try:
        said = msgspec.json.decode((folder / SERVER_FILE).read_bytes())
        url, pid = str(said["url"]), int(said["pid"])
    except (OSError, ValueError, KeyError, TypeError, msgspec.DecodeError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it runs, as another user
    return url


def _key(choice: Choice, *, ours: bool) -> str:
    if choice.key:
        return choice.key
    if choice.key_file is not None:
        return _read_key(choice.key_file)
    if choice.identity:
        return _read_key(choice.folder / f"{choice.identity}.key")
    given = os.environ.get("BAILIWICK_API_KEY", "")
    if given:
        return given
    if not ours:
        raise NoKey("none was given for a server that is not this data directory's")
    return _read_key(choice.folder / "cli.key")


def _read_key(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoKey(f"{path} cannot be read", path=str(path)) from error


Url = Annotated[str, typer.Option("--url", help="The server's base URL (BAILIWICK_URL).", show_default=False)]
Key = Annotated[str, typer.Option("--key", help="The API key (BAILIWICK_API_KEY).", show_default=False)]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="A file that holds the API key.")]
Identity = Annotated[
    str, typer.Option("--as", help="Use NAME.key of the data directory.", metavar="NAME", show_default=False)
]
DataDir = Annotated[
    str,
    typer.Option(
        "--data-dir",
        help="Where the server and its key are looked for (BAILIWICK_DATA_DIR, ~/.bailiwick).",
        show_default=False,
    ),
]
Format = Annotated[Output, typer.Option("-o", "--output", help="How to answer.")]

_SHARED: tuple[tuple[str, Any, Any], ...] = (
    ("url", Url, ""),
    ("key", Key, ""),
    ("key_file", KeyFile, None),
    ("identity", Identity, ""),
    ("data_dir", DataDir, ""),
    ("output", Format, Output.TABLE),
)


def connected(command: Callable[Concatenate[Door, P], None]) -> Callable[..., None]:
    """Give a command a door in place of its first parameter, and the flags that choose it."""
    signature = inspect.signature(command)
    own = list(signature.parameters.values())[1:]
    shared = [
        inspect.Parameter(f"door_{name}", inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, kind, default in _SHARED
    ]

    def run(**given: Any) -> None:
        output = given.pop("door_output")
        choice = Choice(**{name: given.pop(f"door_{name}") for name in Choice.__struct_fields__})
        with Door(choice, output) as door:
            command(door, **given)  # type: ignore[call-arg]

    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = signature.replace(parameters=[*named, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*named, *shared)}
    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    return run
