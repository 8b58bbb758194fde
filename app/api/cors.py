"""Pages of other origins: who of them may ask, and what they may read of an answer.

A browser asks first (a preflight), naming its page's origin but no key: it is answered from the
origins of all tenants. The request itself is held to those of its caller, where that is recognised
(`callers.authenticate`). What is decided goes into the request's scope, and `Front` puts it into
the head of whatever is answered, also of a refusal and of a stream.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import error_response, methods_at
from app.domain.tenant import Caller
from app.errors import OriginNotAllowed
from app.store.origins import OriginIndex
from app.wiring import Gateway

Fields = list[tuple[bytes, bytes]]

ASKED_HEADERS: Final = (
    "authorization",
    "content-type",
    "idempotency-key",
    "x-evo-run-id",
    "x-request-id",
    "last-event-id",
    "if-none-match",
)
"""Headers that a page may send."""

READ_HEADERS: Final = (
    "X-Request-Id",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "ETag",
    "Idempotency-Replayed",
    "Age",
)
"""Headers that a page may read, beside those that every page may."""

MAX_AGE_S: Final = 600
"""How long a browser may go without asking again; the request itself is looked at each time."""

_UNKNOWN: Final = OriginNotAllowed(
    "Access denied: no tenant of this gateway allows pages of this origin"
)
_VARY: Final = (b"vary", b"Origin")
_EXPOSED: Final = (b"access-control-expose-headers", ", ".join(READ_HEADERS).encode("ascii"))


class Cors:
    """Pure ASGI, and only under /v1: answers preflights, and says what a page may read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; one that names no origin pays for nothing but the look for it."""
        app = self._app
        if scope["type"] == "http" and _is_public(scope["path"]):
            scope["reelgate.cors"] = [_VARY]
            named = [value for name, value in scope["headers"] if name == b"origin"]
            if named:
                app = await _look_at(scope, named) or app
        await app(scope, receive, send)


def _is_public(path: str) -> bool:
    return path.startswith("/v1/") or path == "/v1"


async def _look_at(scope: Scope, named: list[bytes]) -> Response | None:
    """Note what a page may read; returns the answer where it is not for a route to give."""
    # Two origins are none that is allowed.
    origin = named[0].decode("latin-1") if len(named) == 1 else ""
    scope["reelgate.origin"] = origin
    asks_first = _is_preflight(scope)
    gateway: Gateway = scope["app"].state.gateway
    origins = gateway.store.origins
    await origins.refresh(now_ms=gateway.clock.now_ms())
    if not origins.knows(origin):
        return error_response(_UNKNOWN, scope["reelgate.request_id"]) if asks_first else None
    fields = [_VARY, (b"access-control-allow-origin", named[0])]
    methods = methods_at(scope) if asks_first else set()
    if not methods:
        scope["reelgate.cors"] = [*fields, _EXPOSED]
        return None
    scope["reelgate.route"] = "preflight"
    scope["reelgate.cors"] = [*fields, *_preflight_fields(methods)]
    return Response(status_code=204)


def require_origin(scope: Scope, caller: Caller, origins: OriginIndex) -> None:
    """Let a request pass that comes from no page, from the gateway's own, or from an allowed one.

    Otherwise the page may not even read that it was refused.

    Raises:
        OriginNotAllowed: its tenant does not name the origin, or the token is bound to another.
    """
    origin: str | None = scope.get("reelgate.origin")
    if caller.origin and caller.origin != origin:
        scope["reelgate.cors"] = [_VARY]
        raise OriginNotAllowed("Access denied: this token may only be used by pages of its origin")
    if origin is None or origins.allows(caller.tenant_id, origin) or _is_own(scope, origin):
        return
    scope["reelgate.cors"] = [_VARY]
    raise OriginNotAllowed


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )


def _preflight_fields(methods: set[str]) -> Fields:
    return [
        (b"access-control-allow-methods", ", ".join(sorted(methods)).encode("ascii")),
        (b"access-control-allow-headers", ", ".join(ASKED_HEADERS).encode("ascii")),
        (b"access-control-max-age", str(MAX_AGE_S).encode("ascii")),
    ]


def _is_own(scope: Scope, origin: str) -> bool:
    """Return whether a page is of the host that was asked: browsers name its origin too."""
    scheme, _, site = origin.partition("://")
    hosts = [value.lower() for name, value in scope["headers"] if name == b"host"]
    return scheme in ("http", "https") and site != "" and hosts == [site.encode("latin-1")]
