"""The admin API of keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.operators import answered, operator, read_wish, written_by
from app.api.requests import StrictRoute
from app.domain.api_key import Grace, KeyWish
from app.flows.manage_keys import IssuedKey

router = APIRouter(prefix="/admin/v1/tenants/{tenant}/keys", route_class=StrictRoute)


@router.post("", response_class=Response)
async def issue_key(request: Request, tenant: str) -> Response:
    """Issue a key; the secret is answered this once."""
    gateway, by = operator(request)
    with read_wish():
        wish = KeyWish.read(await written_by(request, optional=True), now_ms=gateway.clock.now_ms())
    issued = await gateway.store.manage_keys.issue(tenant, wish, by)
    return answered(_with_secret(issued))


@router.get("", response_class=Response)
async def list_keys(request: Request, tenant: str) -> Response:
    """Return a tenant's keys, oldest first; no secrets."""
    gateway, _ = operator(request)
    now_ms = gateway.clock.now_ms()
    found = await gateway.store.manage_keys.of_tenant(tenant)
    return answered({"data": [key.public(now_ms=now_ms) for key in found]})


@router.post("/{key}/rotate", response_class=Response)
async def rotate_key(request: Request, tenant: str, key: str) -> Response:
    """Issue the key that takes this one's place; this one goes on for `grace_s`."""
    gateway, by = operator(request)
    with read_wish():
        grace = Grace.read(await written_by(request, optional=True))
    issued = await gateway.store.manage_keys.rotate(tenant, key, grace, by)
    return answered(_with_secret(issued))


@router.delete("/{key}", response_class=Response)
async def revoke_key(request: Request, tenant: str, key: str) -> Response:
    """End a key; repeating is harmless."""
    gateway, by = operator(request)
    revoked = await gateway.store.manage_keys.revoke(tenant, key, by)
    return answered(revoked.public(now_ms=gateway.clock.now_ms()))


def _with_secret(issued: IssuedKey) -> dict[str, Any]:
    shown = issued.key.public(now_ms=issued.key.created_ms)
    return {"id": shown.pop("id"), "key": issued.secret, **shown}
