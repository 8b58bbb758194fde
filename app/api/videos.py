"""Creating tasks."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.callers import authenticate, look_up_rates
from app.api.requests import StrictRequest, StrictRoute, idempotency_key
from app.errors import GatewayError, InvalidKey, StoreForeign, StoreUnavailable, TenantDisabled
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)

_NOBODY_TO_TELL: Final = (InvalidKey, TenantDisabled, StoreUnavailable, StoreForeign)
"""Refusals after which a caller's limits cannot be looked up, or are not its business."""

_STORE_AWAY: Final = (StoreUnavailable, StoreForeign)


@router.post("/v1/videos/generations", response_class=Response)
async def create_video(request: Request) -> Response:
    """Create a task; the answer is the task to follow, not a video."""
    gateway: Gateway = request.app.state.gateway
    caller = await authenticate(request.scope, gateway.store, tokens_for="create")
    try:
        key = idempotency_key(request)
        raw = await cast(StrictRequest, request).json_bytes()
        created = await gateway.submit(raw, caller, key)
    except _NOBODY_TO_TELL:
        raise
    except GatewayError:
        # Whoever may not call at all is told that, whatever else was wrong.
        with suppress(*_STORE_AWAY):
            await look_up_rates(request.scope, gateway, caller, "creates")
        raise
    if created.rates is None:
        # What was created is answered, whatever became of the caller meanwhile.
        with suppress(GatewayError):
            await look_up_rates(request.scope, gateway, caller, "creates")
    else:
        request.scope["reelgate.rates"] = created.rates
    headers = {
        "cache-control": "private, no-cache",
        "retry-after": str(max(1, round(gateway.settings.poll.first_delay_s))),
    }
    if created.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(created.answer, media_type="application/json", headers=headers)
