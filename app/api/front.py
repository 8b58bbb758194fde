"""The outermost layer of every request: its id, its access line, and the last resort."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import error_response
from app.domain.rates import Rates
from app.errors import InternalError, Stopping
from app.telemetry import Metrics

log = structlog.get_logger("access")

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")


def new_request_id() -> str:
    """Return a fresh id for a request that brought none."""
    return "req_" + secrets.token_hex(12)


class _Exchange:
    """One request on its way: what was read of it, and how it was answered."""

    __slots__ = ("_body_is_read", "_receive", "_request_id", "_scope", "_send", "head_s", "status")

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self._receive, self._send, self._request_id = receive, send, request_id
        self._scope = scope
        self._body_is_read = not _has_body(scope)
        self.status = 0
        self.head_s = 0.0

    async def receive(self) -> Message:
        """Hand on the next piece of the request."""
        message = await self._receive()
        self._body_is_read = self._body_is_read or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Hand on a piece of the answer, with the request's id in its head."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.head_s = time.perf_counter()
            added = [(b"x-request-id", self._request_id.encode("ascii"))]
            rates: Rates | None = self._scope.get("reelgate.rates")
            if rates is not None:
                added += rates.header_fields()
            # What a page of another origin may read of it, see `cors`.
            added += self._scope.get("reelgate.cors", ())
            if not self._body_is_read:
                # Else the server would go on reading what nobody wants, from anybody.
                added.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *added]
        await self._send(message)


class Front:
    """Pure ASGI: names the request, counts and logs its answer, and turns a defect into a 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; `X-Request-Id` is the caller's where it is well-formed, else new."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_request_id(scope) or new_request_id()
        scope["reelgate.request_id"] = request_id
        exchange = _Exchange(scope, receive, send, request_id)
        began_s = time.perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            # The server has waited as long as it may. Its own answer would be plain text.
            if not exchange.status:
                await error_response(Stopping(), request_id)(scope, receive, exchange.send)
            raise
        except ClientDisconnect:
            log.info("request.abandoned", request_id=request_id)
        except Exception:
            log.exception("request.failed", request_id=request_id)
            if exchange.status:
                raise
            await error_response(InternalError(), request_id)(scope, receive, exchange.send)
        finally:
            self._tell(scope, exchange, began_s)

    def _tell(self, scope: Scope, exchange: _Exchange, began_s: float) -> None:
        route, status, ended_s = route_name(scope), exchange.status, time.perf_counter()
        took_s, more = ended_s - began_s, {}
        if "reelgate.is_stream" in scope:
            # How long its client listened says nothing of how fast it was answered.
            took_s, more = exchange.head_s - began_s, {"open_s": round(took_s, 1)}
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(took_s)
        log.info(
            "access.answered",
            request_id=scope["reelgate.request_id"],
            method=scope["method"],
            route=route,
            status=status,
            took_ms=round(took_s * 1000, 2),
            tenant_id=scope.get("reelgate.tenant_id", ""),
            **more,
        )


def route_name(scope: Scope) -> str:
    """Return the template of the route that served a request; never its path."""
    route: Any = scope.get("route")
    name = getattr(route, "path_format", None) or scope.get("reelgate.route")
    return str(name) if name else "unmatched"


def _given_request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None
    return None


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 "))
        for name, value in scope["headers"]
    )
