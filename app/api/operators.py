"""Operators over HTTP: who is one, and what they wrote."""

from __future__ import annotations

import hmac
from typing import Any, cast

from fastapi import Request
from starlette.responses import Response

from app.api.callers import bearer_of
from app.api.problems import request_id_of
from app.api.requests import StrictRequest
from app.domain import strict_json
from app.domain.audit import Actor
from app.domain.contract import encode
from app.domain.tenant import Refused
from app.errors import InvalidAdminToken, InvalidKey, InvalidRequest, UnknownPath
from app.wiring import Gateway


def operator(request: Request) -> tuple[Gateway, Actor]:
    """Return the gateway and the operator who calls.

    Raises:
        UnknownPath: the admin API is off, for no token is set.
        InvalidAdminToken: the token is missing or wrong.
    """
    gateway: Gateway = request.app.state.gateway
    if not gateway.admin_token:
        raise UnknownPath(
            f"Invalid URL ({request.method} {request.url.path[:200]}): the admin API is off, set"
            " REELGATE_ADMIN_TOKEN to use it"
        )
    try:
        given = bearer_of(request.scope)
    except InvalidKey:
        raise InvalidAdminToken from None
    if not hmac.compare_digest(given.encode("ascii"), gateway.admin_token.encode()):
        raise InvalidAdminToken
    return gateway, Actor("admin", request_id_of(request))


async def written_by(request: Request, *, optional: bool = False) -> Any:
    """Return what the operator wrote as a plain JSON object; {} where it is optional and missing.

    Raises:
        UnsupportedMediaType: it is not declared as JSON.
        MalformedJson: it is not a strict JSON object.
    """
    strict = cast(StrictRequest, request)
    if optional and not await strict.body():
        return {}
    return strict_json.plain(await strict.json())


def flag(request: Request, name: str) -> bool:
    """Return a true-or-false query parameter; missing means false.

    Raises:
        InvalidRequest: it is given twice, or is neither.
    """
    given = request.query_params.getlist(name)
    if not given:
        return False
    if given not in (["true"], ["false"], ["1"], ["0"]):
        raise InvalidRequest(f"Invalid {name} parameter: write true or false", param=name)
    return given[0] in ("true", "1")


class read_wish:  # noqa: N801 - reads as a word where it is used
    """Answer 400 for what breaks a rule of the domain, with its place as `param`."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        """Translate.

        Raises:
            InvalidRequest: something that was written breaks a rule.
        """
        if isinstance(failure, Refused):
            raise InvalidRequest(str(failure), param=failure.param) from failure


def answered(content: dict[str, Any]) -> Response:
    """Return an answer that no cache keeps."""
    headers = {"cache-control": "no-store"}
    return Response(encode(content), media_type="application/json", headers=headers)
