"""The one place where an error becomes an answer."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RequestTooLarge,
    UnknownPath,
)


def error_response(error: GatewayError, request_id: str) -> Response:
    """Render `error` in the envelope, with `Retry-After` where it has one."""
    headers = {"cache-control": "no-store"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        json.dumps(error.envelope(request_id)).encode("ascii"),
        status_code=error.http_status,
        media_type="application/json",
        headers=headers,
    )


async def answer_gateway_error(request: Request, error: Exception) -> Response:
    """Answer one of the closed list."""
    if not isinstance(error, GatewayError):
        raise TypeError(type(error))
    return error_response(error, request_id_of(request))


async def answer_framework_error(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses: unknown paths, wrong methods, oversize bodies."""
    if not isinstance(error, HTTPException):
        raise TypeError(type(error))
    response = error_response(_translated(error, request), request_id_of(request))
    if error.status_code == 405:
        response.headers["allow"] = ", ".join(sorted(methods_at(request.scope)))
    return response


def methods_at(scope: Scope) -> set[str]:
    """Return every method that some route serves at a path; the framework names one route's."""
    served: list[Route] = scope["app"].state.served
    matching = [each for each in served if each.matches(scope)[0] is not Match.NONE]
    return {method for route in matching for method in route.methods or ()}


async def answer_invalid_parameters(request: Request, error: Exception) -> Response:
    """Answer a parameter that a route's signature refuses, never with the framework's 422."""
    if not isinstance(error, RequestValidationError):
        raise TypeError(type(error))
    first: dict[str, Any] = dict(error.errors()[0])
    param = str(first["loc"][-1])
    refusal = InvalidRequest(f"Invalid {param} parameter: {first['msg']}", param=param)
    return error_response(refusal, request_id_of(request))


def _translated(error: HTTPException, request: Request) -> GatewayError:
    match error.status_code:
        case 404:
            return UnknownPath(f"Invalid URL ({request.method} {request.url.path[:200]})")
        case 405:
            return MethodNotAllowed(
                f"Method not allowed: {request.method[:20]} on {request.url.path[:200]};"
                " see the Allow header"
            )
        case 413:
            return RequestTooLarge()
        case status if 400 <= status < 500:
            return InvalidRequest()
        case _:
            return InternalError()


def request_id_of(request: Request) -> str:
    """Return the id that `Front` gave this request."""
    found: str = request.scope.get("reelgate.request_id", "")
    return found
