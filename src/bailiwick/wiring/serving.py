"""Serving: the embedded system with its HTTP door, in one event loop, announced in the data directory."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import uvicorn
import uvloop

from bailiwick.app import App
from bailiwick.base import Category, Instant, Refusal, format_instant
from bailiwick.http import Limits, close_streams, connection_class, create_app
from bailiwick.stores import write_private
from bailiwick.wiring.embedded import Embedded, embedded
from bailiwick.wiring.readiness import Readiness, checks_of
from bailiwick.wiring.settings import Settings

SERVER_FILE = "server.json"
KEY_FILE = "cli.key"
GRACE_SECONDS = 2
_BACKLOG = 512

T = TypeVar("T")


class AddressTaken(Refusal, code="address_taken", category=Category.UNAVAILABLE):
    """The address to listen on belongs to another program, or to another machine."""

    host: str
    port: int
    reason: str
    spoken = ("reason",)
    says = "cannot listen on {host} port {port}: {reason}"
    remedy = "choose another port with --port (0: any free one), or stop the other program"


class Announcement(msgspec.Struct, frozen=True):
    """What `server.json` says, to programs of the same user on the same machine."""

    url: str
    pid: int
    started_at: str
    version: str


@contextlib.asynccontextmanager
async def serving(
    settings: Settings,
    apps: Sequence[App],
    *,
    cache_dir: Path | None = None,
    workers: int = 1,
    limits: Limits | None = None,
) -> AsyncIterator[tuple[Embedded, str]]:
    """Run the embedded system and its HTTP door for the length of a `with`; yield it and its base URL.

    While it runs, `server.json` in the data directory says where it listens; at first start `cli.key` gets
    the admin key. Both are readable by their owner alone.

    Args:
        settings: Port 0 takes a free one.
        apps: What may run.
        cache_dir: Where the sandbox keeps its runtime; None: the user's cache.
        workers: How many workers share this process.
        limits: Bounds of the door; the defaults when None.

    Raises:
        AddressTaken: The address cannot be listened on.
        DataDirInUse, PolicyRefused: See `embedded`.
    """
    async with embedded(settings, apps, cache_dir=cache_dir, workers=workers) as system:
        bounds = limits if limits is not None else Limits()
        if system.first_key:
            # Before anything can be refused: it is made this once, and lies nowhere else.
            write_private(settings.folder / KEY_FILE, f"{system.first_key}\n".encode())
        listener = _listen(settings.host, settings.port, bounds)
        door = _Door(system, listener, bounds)
        url = _url(listener)
        async with door:
            with _announced(settings.folder, url, system.world.now()):
                try:
                    yield system, url
                finally:
                    await system.drain()  # the door stays open meanwhile, and says so


class ServingThread:
    """The served system in a thread of its own, inside a `with`; for programs whose main thread talks to it.

    Args:
        settings: See `serving`.
        apps: See `serving`.
        cache_dir: See `serving`.
    """

    def __init__(self, settings: Settings, apps: Sequence[App], *, cache_dir: Path | None = None) -> None:
        self._settings = settings
        self._apps = apps
        self._cache_dir = cache_dir
        self._up = threading.Event()
        self._ending = asyncio.Event()
        self._failure: BaseException | None = None
        self.system: Embedded
        self.url = ""

    def __enter__(self) -> Self:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bailiwick-serving")
        self._thread.start()
        try:
            self._up.wait()
        except BaseException:
            self._stop()
            raise
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._failure is not None and error is None:
            raise self._failure

    def ask(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the system's event loop and wait for what it answers."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it ended by itself
            self._loop.call_soon_threadsafe(self._ending.set)
        try:
            self._thread.join()
        except KeyboardInterrupt:
            # Whoever interrupts the end waits for no call any more.
            system = getattr(self, "system", None)
            if system is not None:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(system.hasten)
            self._thread.join()
            raise

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as failure:  # whatever ended this thread is raised in the caller's
            self._failure = failure
        finally:
            self._up.set()

    async def _serve(self) -> None:
        async with serving(self._settings, self._apps, cache_dir=self._cache_dir) as (self.system, self.url):
            self._up.set()
            await self._ending.wait()


class _Door:
    """The HTTP door of a system, open for the length of an `async with`; its end ends the streams too."""

    def __init__(self, system: Embedded, listener: socket.socket, limits: Limits) -> None:
        self._open = False
        self._app = create_app(
            system.platform,
            readiness=Readiness(checks_of(system, self._trouble)),
            meter=system.metrics,
            version=version("bailiwick"),
            limits=limits,
        )
        config = uvicorn.Config(
            self._app,
            http=connection_class(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config)
        self._listener = listener
        self._system = system

    def _trouble(self) -> str:
        """Say why the door should get nothing new; empty when it should."""
        if self._system.draining:
            return "it is draining: it was told to stop, and waits for the calls on their way"
        return "" if self._open else "it is starting or ending"

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({up, self._task}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._task.done():
            self._task.result()
        self._open = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        close_streams(self._app)
        self._server.should_exit = True
        await self._task


class _Server(uvicorn.Server):
    """A server that leaves signals to its program and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _listen(host: str, port: int, limits: Limits) -> socket.socket:
    """Bind before anything is announced, so that a taken address is a refusal and port 0 has a number.

    A socket that names TCP gets TCP_NODELAY from asyncio; without it each small chunk of a stream waits 40 ms.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. Else the kernel keeps megabytes for each client that does not read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_bytes)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressTaken(host, port, error.strerror or str(error)) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _announced(folder: Path, url: str, at: Instant) -> Iterator[None]:
    path = folder / SERVER_FILE
    write_private(
        path, msgspec.json.encode(Announcement(url, os.getpid(), format_instant(at), version("bailiwick")))
    )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
