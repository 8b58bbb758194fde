"""The sandbox as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from app.sandbox import control, routes
from app.sandbox.answers import refusal_response
from app.sandbox.callbacks import CallbacksFull
from app.sandbox.clock import NowMs, system_now_ms
from app.sandbox.edge import Edge
from app.sandbox.options import SandboxOptions
from app.sandbox.problems import VendorRefusal, unknown_path
from app.sandbox.register import RegisterFull
from app.sandbox.state import Sandbox, assemble

_DEFAULTS: Final = SandboxOptions()


def create_sandbox(
    options: SandboxOptions = _DEFAULTS, *, now_ms: NowMs = system_now_ms
) -> Starlette:
    """Make a sandbox; `now_ms` gives milliseconds since the epoch.

    Callbacks are sent only while its lifespan is entered. The `Sandbox` itself is `state.sandbox`.
    """
    sandbox = assemble(options, now_ms)
    middleware = []
    if sandbox.memory is not None:
        middleware.append(Middleware(Edge, sandbox=sandbox, memory=sandbox.memory))
    app = Starlette(
        routes=(*routes.ROUTES, *control.ROUTES),
        middleware=middleware,
        exception_handlers=_HANDLERS,
        lifespan=_lifespan,
    )
    # The vendor does not send clients to a path with another slash.
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    sandbox: Sandbox = app.state.sandbox
    if sandbox.memory is None:
        yield
        return
    async with sandbox.memory.callbacks.running():
        yield


async def _refused(request: Request, reason: VendorRefusal) -> Response:
    return refusal_response(reason)


async def _no_such_path(request: Request, reason: Exception) -> Response:
    """Answer a wrong method like a wrong path, as the vendor's family of gateways does."""
    return refusal_response(unknown_path(request.method, request.url.path))


async def _no_room(request: Request, reason: Exception) -> Response:
    return refusal_response(VendorRefusal(507, str(reason), kind="sandbox_error"))


async def _broken(request: Request, reason: Exception) -> Response:
    return refusal_response(VendorRefusal(500))


_HANDLERS: Final[dict[Any, Callable[[Request, Any], Awaitable[Response]]]] = {
    VendorRefusal: _refused,
    HTTPException: _no_such_path,
    RegisterFull: _no_room,
    CallbacksFull: _no_room,
    Exception: _broken,
}
