"""Where the vendor calls back. Its notices are hints: what they say is never believed."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.requests import StrictRequest, StrictRoute
from app.domain import strict_json
from app.errors import MalformedJson, UnknownPath, UnsupportedMediaType
from app.upstream.wire import is_vendor_id
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)


@router.post("/vendor/callback/{token}", response_class=Response, include_in_schema=False)
async def take_notice(request: Request, token: str) -> Response:
    """Take a notice of the vendor; one with a token that is not ours finds no such path.

    Raises:
        UnknownPath: the token is not one of ours.
        RateLimited: it comes too early, or too soon after another.
    """
    gateway: Gateway = request.app.state.gateway
    recognised = gateway.heed.recognise(token)
    if recognised is None:
        raise UnknownPath(f"Invalid URL ({request.method} /vendor/callback/…)")
    await gateway.heed(recognised, await _named_in(cast(StrictRequest, request)))
    return Response(b'{"status":"ok"}', media_type="application/json")


async def _named_in(request: StrictRequest) -> str | None:
    """Return the vendor's id of the task that a notice is about, None where it names none."""
    try:
        body: Any = strict_json.parse_object(await request.json_bytes())
    except (MalformedJson, UnsupportedMediaType):
        return None
    named = body.get("id")
    return named if isinstance(named, str) and is_vendor_id(named) else None
