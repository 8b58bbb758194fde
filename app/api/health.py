"""Probes: is the process up, can it work, and how is it doing."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from app.errors import GatewayError, NotReady, StoreForeign
from app.store.epoch import read_epoch
from app.store.scripts import store_errors
from app.wiring import Gateway

router = APIRouter(tags=["probes"])

ENGINE_SILENCE_MS = 10_000
"""An engine that has not looked at its schedules for this long counts as stuck."""


@router.get("/healthz", summary="Liveness")
async def live() -> dict[str, str]:
    """Say that the process answers; asks nothing of anything else."""
    return {"status": "ok"}


@router.get("/readyz", summary="Readiness")
async def ready(request: Request) -> dict[str, Any]:
    """Say whether work can be done: the expected store answers, the engine runs."""
    gateway: Gateway = request.app.state.gateway
    checks = {"store": await _store(gateway), "engine": _engine(gateway)}
    failing = [f"{name} ({found})" for name, found in checks.items() if found != "ok"]
    if failing:
        raise NotReady(f"Not ready: {', '.join(failing)}")
    return {"status": "ok", "checks": checks}


async def _store(gateway: Gateway) -> str:
    try:
        with store_errors():
            await cast(Awaitable[Any], gateway.store.redis.ping())
        if await read_epoch(gateway.store.redis) != gateway.store.epoch_id:
            raise StoreForeign
    except GatewayError as trouble:
        return trouble.reason
    return "ok"


def _engine(gateway: Gateway) -> str:
    if gateway.settings.role == "api" or gateway.settings.testing.hold_clock_ms is not None:
        return "ok"
    silence_ms = gateway.clock.now_ms() - gateway.engine.last_round_ms
    return "ok" if silence_ms < ENGINE_SILENCE_MS else "engine_stuck"


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return this process's counters in the Prometheus text format."""
    gateway: Gateway = request.app.state.gateway
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)


for _path, _probe in (("/healthz", live), ("/readyz", ready), ("/metrics", metrics)):
    # Balancers like to ask without wanting an answer's body.
    router.add_api_route(_path, _probe, methods=["HEAD"], include_in_schema=False)
