"""What a tenant may use and has used: models, credits, usage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.callers import reader
from app.api.requests import StrictRoute
from app.domain.account import DaySpan, balance, credits_answer, models_answer, usage_answer
from app.domain.contract import credits_number, encode
from app.store.keys import windows
from app.wiring import Gateway

router = APIRouter(route_class=StrictRoute)


@router.get("/v1/models", response_class=Response)
async def list_models(request: Request) -> Response:
    """Return the models that the calling key may use, with status and price."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway, tokens_for="read")
    account = await gateway.store.accounts.of_caller(caller, (), now_ms=gateway.clock.now_ms())
    return _answer(models_answer(gateway.catalogue, account.of_tenant, account.of_key))


@router.get("/v1/credits", response_class=Response)
async def read_credits(request: Request) -> Response:
    """Return what the calling key and its tenant have used and may still use."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway)
    now_ms = gateway.clock.now_ms()
    account = await gateway.store.accounts.of_caller(caller, windows(now_ms), now_ms=now_ms)
    day, month = account.windows
    suffix = f":{caller.family}"
    return _answer(
        credits_answer(
            token=balance(account.of_key, day=day, month=month, suffix=suffix),
            user=balance(account.of_tenant, day=day, month=month),
        )
    )


@router.get("/v1/usage", response_class=Response)
async def read_usage(request: Request) -> Response:
    """Return what the tenant has used, by day and model."""
    gateway: Gateway = request.app.state.gateway
    caller = await reader(request.scope, gateway)
    now_ms = gateway.clock.now_ms()
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    span = DaySpan.read(request.query_params.multi_items(), today=today)
    account = await gateway.store.accounts.of_caller(caller, span.windows(), now_ms=now_ms)
    return _answer(usage_answer(span, account.windows, amount=credits_number, with_keys=False))


def _answer(content: dict[str, Any]) -> Response:
    headers = {"cache-control": "private, no-cache"}
    return Response(encode(content), media_type="application/json", headers=headers)
