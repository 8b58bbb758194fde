"""The sandbox over HTTP, on a server that lets faults break connections."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.sandbox.app import create_sandbox
from app.sandbox.clock import NowMs, system_now_ms
from app.sandbox.delivery import TRANSPORT
from app.sandbox.options import SandboxOptions
from app.sandbox.state import Sandbox

DEFAULT_HOST: Final = "127.0.0.1"
STOP_WITHIN_S: Final = 5


class _OpenProtocol(HttpToolsProtocol):
    """The usual protocol; it only adds the connection to what the application is told."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]


class SandboxServer(uvicorn.Server):
    """A server that lets go of hanging answers when it is told to stop."""

    def __init__(self, config: uvicorn.Config, sandbox: Sandbox) -> None:
        super().__init__(config)
        self.sandbox = sandbox
        self.listening = threading.Event()
        self.announce: Callable[[str], None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on; known once it has started."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a stop signal as an order that was carried out, so that the exit code is 0."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self.listening.set()
        if self.announce is not None and not self.should_exit:
            self.announce(f"http://{self.config.host}:{self.port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what hangs, then stop in good order."""
        self.sandbox.stopping.set()
        await super().shutdown(sockets)


def make_server(
    options: SandboxOptions,
    *,
    host: str = DEFAULT_HOST,
    port: int = 0,
    now_ms: NowMs = system_now_ms,
) -> SandboxServer:
    """A server that is ready to `run()`, or to `serve()` on sockets that are bound already.

    Port 0 takes a free one; `SandboxServer.port` tells which.
    """
    app = create_sandbox(options, now_ms=now_ms)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_OpenProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
    return SandboxServer(config, app.state.sandbox)


def serve(
    options: SandboxOptions,
    host: str = DEFAULT_HOST,
    port: int = 0,
    *,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process is told to stop; `announce` is given the address once it listens."""
    server = make_server(options, host=host, port=port)
    server.announce = announce
    server.run()


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that is being served: its address, and the server for what HTTP does not tell."""

    url: str
    server: SandboxServer


@contextlib.contextmanager
def running_sandbox(
    options: SandboxOptions, *, port: int = 0, now_ms: NowMs = system_now_ms
) -> Iterator[RunningSandbox]:
    """Serve from a thread of its own, whose event loop no test or gateway can block or end.

    Raises:
        OSError: it did not come up, or did not stop.
    """
    server = make_server(options, port=port, now_ms=now_ms)
    thread = threading.Thread(target=server.run, name="sandbox", daemon=True)
    thread.start()
    try:
        if not server.listening.wait(STOP_WITHIN_S):
            raise OSError("the sandbox did not start")
        yield RunningSandbox(f"http://{DEFAULT_HOST}:{server.port}", server)
    finally:
        server.should_exit = True
        thread.join(2 * STOP_WITHIN_S)
    if thread.is_alive():
        raise OSError("the sandbox did not stop")
