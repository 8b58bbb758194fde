"""`reelgate serve`: the gateway, its engine, or both."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import ExitStack
from types import FrameType
from typing import Annotated, Any

import structlog
import typer
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from app import settings, telemetry
from app.api.app import create_app
from app.api.protocol import EnvelopeProtocol
from app.cli.console import CommandFailed
from app.store.embedded import open_embedded
from app.wiring import LAST_SENDS_S, admin_token_of, load_catalogue, open_store

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 75
"""Longer than clients' usual poll periods (up to 20 s), so that a poll reuses its connection."""


class Server(uvicorn.Server):
    """A server for which a stop signal is an order, not a death: it drains and exits 0."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second Ctrl-C stops waiting."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
            return
        self.should_exit = True


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve the port.")] = None,
    role: Annotated[
        str | None, typer.Option(help="all, api (no engine) or engine (no tenant routes).")
    ] = None,
) -> None:
    """Serve the gateway. Options win over the environment."""
    given = {"host": host, "port": port, "workers": workers, "role": role}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    chosen = settings.load(overrides)
    telemetry.configure_logging(chosen.log.level, chosen.log.format)
    chosen.vendor.read_keys()
    load_catalogue(chosen)
    listener = _listen(chosen.host, chosen.port)
    with ExitStack() as stack:
        if not chosen.redis_url.get_secret_value():
            # Held here as well, so that the store outlives a worker process that is replaced.
            embedded = open_embedded(chosen.data_dir)
            stack.callback(embedded.close)
            # Before the address is known: workers see a store like any other.
            overrides["admin_token"] = admin_token_of(chosen) or ""
            overrides["redis_url"] = embedded.url
            chosen = settings.load(overrides)
        asyncio.run(_check_store(chosen))
        bound_host, bound_port = listener.getsockname()[:2]
        log.info("gateway.listening", address=f"http://{bound_host}:{bound_port}", role=chosen.role)
        if chosen.workers == 1:
            Server(_config(create_app(chosen), chosen)).run(sockets=[listener])
        else:
            settings.pass_on(overrides)
            config = _config("app.cli.serve:worker_app", chosen, factory=True)
            Multiprocess(config, sockets=[listener]).run()


async def _check_store(chosen: settings.Settings) -> None:
    """Fail before the port is served, with the reason alone, where the store cannot be used."""
    async with open_store(chosen):
        pass


def worker_app() -> FastAPI:
    """Build the application of one worker process, from the environment."""
    chosen = settings.load()
    telemetry.configure_logging(chosen.log.level, chosen.log.format)
    return create_app(chosen)


def _config(app: Any, chosen: settings.Settings, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        workers=chosen.workers,
        http=EnvelopeProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        # The rest of the drain time is for sends whose callers have gone; see `open_gateway`.
        timeout_graceful_shutdown=max(1, int(chosen.drain_s - LAST_SENDS_S)),
        **more,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as failure:
        raise CommandFailed(
            f"cannot listen on {host}:{port} ({failure.strerror}):"
            " choose another with --port or REELGATE_PORT"
        ) from failure
    listener.set_inheritable(True)
    return listener
