"""Assemble the HTTP application and run it between the opening and the closing of a gateway."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from app import __version__
from app.api import (
    account,
    admin_audit,
    admin_keys,
    admin_tasks,
    admin_tenants,
    callbacks,
    docs,
    health,
    live,
    openapi,
    tasks,
    tokens,
    videos,
    webhooks,
)
from app.api.cors import Cors
from app.api.front import Front
from app.api.problems import answer_framework_error, answer_gateway_error, answer_invalid_parameters
from app.api.recent import RecentAnswers
from app.clock import Clock, StoreClock
from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, StoreForeign, TenantDisabled
from app.settings import Settings
from app.telemetry import Metrics
from app.wiring import LAST_SENDS_S, Gateway, built_in_catalogue, open_gateway
from app.worker import keep_time

log = structlog.get_logger(__name__)

_TENANTS_AND_OPERATORS = (
    *(videos, tasks, account, tokens, webhooks, callbacks),
    *(admin_tenants, admin_keys, admin_tasks, admin_audit),
)

HURRY_S = 1.0
"""How long before the server cuts requests off those that wait for the vendor are answered."""


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Build the application; its lifespan opens the gateway and runs the engine of its role."""

    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(settings, metrics, clock) as gateway:
            app.state.gateway = gateway
            stopping = asyncio.Event()
            async with _background_of(gateway, stopping), _stop_signals(gateway, stopping):
                # Start-up leaves a large heap that never dies; collections need not walk it again.
                gc.collect()
                gc.freeze()
                log.info("gateway.started", version=__version__, role=settings.role)
                yield
                log.info("gateway.stopped", running=len(gateway.running))

    app = FastAPI(
        title="Reelgate",
        version=__version__,
        description="A gateway for asynchronous video generation, with the vendor's own contract.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Front, metrics=metrics), Middleware(Cors)],
    )
    app.state.max_body_bytes = settings.max_body_bytes
    parts = [health.router]
    if settings.role != "engine":
        parts += [part.router for part in _TENANTS_AND_OPERATORS]
        app.router.routes[:0] = [*tasks.routes, *live.routes]
        docs.serve_docs(app)
    for router in parts:
        app.include_router(router)
    every = [*app.router.routes, *(route for router in parts for route in router.routes)]
    app.state.served = [route for route in every if isinstance(route, Route)]
    _answer_errors(app)
    _describe(app, with_tenant_routes=settings.role != "engine")
    return app


@asynccontextmanager
async def _background_of(gateway: Gateway, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Keep the time and, unless the role has none, run the engine until `stopping` is set."""
    async with asyncio.TaskGroup() as group:
        if isinstance(gateway.store.clock, StoreClock):
            keeping = keep_time(gateway.store.clock, gateway.store.redis, stopping)
            group.create_task(keeping, name="clock")
        if gateway.settings.role != "api":
            group.create_task(gateway.engine.run(stopping), name="engine")
        try:
            yield
        finally:
            stopping.set()


@asynccontextmanager
async def _stop_signals(gateway: Gateway, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Let a stop signal reach what the server does not know of, after the server's own handler.

    The engine stops at once. Creates that still wait for the vendor are answered shortly before
    the server would cut them off.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    wait_s = max(0.0, gateway.settings.drain_s - LAST_SENDS_S - HURRY_S)
    end_s = max(0.0, gateway.settings.drain_s - HURRY_S)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_stop(number: int, frame: FrameType | None) -> None:
        earlier = before[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)
        is_first = not stopping.is_set()
        loop.call_soon_threadsafe(stopping.set)
        loop.call_soon_threadsafe(gateway.follow.drain)
        for work in (gateway.running, gateway.delivering):
            loop.call_soon_threadsafe(work.end_within, end_s if is_first else 0.0)
        loop.call_soon_threadsafe(loop.call_later, wait_s, gateway.running.hurry)

    for number in before:
        signal.signal(number, on_stop)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


async def _answer_refusal(request: Request, error: Exception) -> Response:
    """Answer one of the closed list, and forget what it takes the ground from."""
    if isinstance(error, StoreForeign | InvalidKey | TenantDisabled):
        state = request.app.state
        caller: Caller | None = request.scope.get("reelgate.caller")
        state.recent.heed(error, caller, now_ms=state.gateway.clock.now_ms())
    return await answer_gateway_error(request, error)


def _answer_errors(app: FastAPI) -> None:
    app.state.recent = RecentAnswers()
    app.add_exception_handler(GatewayError, _answer_refusal)
    app.add_exception_handler(HTTPException, answer_framework_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_parameters)


def _describe(app: FastAPI, *, with_tenant_routes: bool) -> None:
    """Make `/openapi.json` complete, computed once."""
    document: dict[str, Any] = {}

    def whole() -> dict[str, Any]:
        if not document:
            gateway: Gateway | None = getattr(app.state, "gateway", None)
            made = openapi.describe(
                title=app.title,
                version=app.version,
                description=app.description,
                catalogue=gateway.catalogue if gateway else built_in_catalogue(),
                with_tenant_routes=with_tenant_routes,
            )
            document.update(made)
        return document

    app.openapi = whole  # type: ignore[method-assign]
