"""Creating tasks."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.callers import authenticate
from app.api.openapi import CREATE
from app.api.requests import StrictRequest, StrictRoute, idempotency_key
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)


@router.post("/v1/videos/generations", openapi_extra=CREATE, response_class=Response)
async def create_video(request: Request) -> Response:
    """Create a task; the answer is the task to follow, not a video."""
    gateway: Gateway = request.app.state.gateway
    caller = await authenticate(request.scope, gateway.store.tenants)
    key = idempotency_key(request)
    raw = await cast(StrictRequest, request).json_bytes()
    created = await gateway.submit(raw, caller, key)
    headers = {"cache-control": "private, no-cache"}
    if created.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(created.answer, media_type="application/json", headers=headers)
