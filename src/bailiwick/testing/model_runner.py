"""Running the scripted model server: in the foreground for the command, in a thread for tests and the demo."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import uvicorn

from bailiwick.testing.model_server import ModelServer
from bailiwick.testing.recording import Recording

_GRACE_SECONDS = 1
_START_SECONDS = 30


def serve(host: str, port: int, recordings: Sequence[Recording] = ()) -> None:
    """Serve until the process is told to stop."""
    _server(ModelServer(recordings)).run(sockets=[_bound(host, port)])


class RunningModelServer:
    """A scripted model server on a loopback port, up inside a `with` block.

    Args:
        recordings: Models that play from rules.
        port: The port, or 0 for a free one.
    """

    def __init__(self, recordings: Sequence[Recording] = (), port: int = 0) -> None:
        self._recordings = tuple(recordings)
        self._port = port

    def __enter__(self) -> Self:
        bound = _bound("127.0.0.1", self._port)
        self._port = bound.getsockname()[1]
        self._server = _server(ModelServer(self._recordings))
        self._thread = threading.Thread(target=self._run, args=(bound,), name="model-server", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS) or not self._server.started:
            raise RuntimeError("the scripted model server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """What a client of the OpenAI dialect takes as its base URL."""
        return f"{self.url}/v1"

    def _run(self, bound: socket.socket) -> None:
        asyncio.run(self._server.serve(sockets=[bound]))


class _Server(uvicorn.Server):
    """A server that says when it is up, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


def _server(model_server: ModelServer) -> _Server:
    return _Server(
        uvicorn.Config(
            model_server.app,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only a socket that names TCP gets TCP_NODELAY from asyncio; without it each small chunk waits 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound
