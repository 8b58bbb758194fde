"""Tenants and keys for tests, written to the store as the command line writes them."""

from __future__ import annotations

import secrets
from typing import Any

from app.domain.ids import Mode, mint_api_key, mint_key_id
from app.domain.tenant import Limits, Tenant
from app.store.tenants import ApiKey, TenantExists, TenantStore


async def key_of_tenant(
    tenants: TenantStore, tenant_id: str, *, now_ms: int, mode: Mode = "live", **limits: Any
) -> str:
    """Return a new key of a tenant, which is made with `limits` if it does not exist."""
    tenant = Tenant(id=tenant_id, name=tenant_id, limits=Limits.read(limits))
    try:
        await tenants.add(tenant, now_ms=now_ms)
    except TenantExists:
        assert not limits, "the tenant exists already: its limits would be ignored"
    return await issued_key(tenants, tenant_id, now_ms=now_ms, mode=mode)


async def issued_key(
    tenants: TenantStore,
    tenant_id: str,
    *,
    now_ms: int,
    mode: Mode = "live",
    expires_ms: int | None = None,
    **limits: Any,
) -> str:
    """Return a new key of an existing tenant, with an end and limits of its own."""
    secret = mint_api_key(mode, secrets.choice)
    key = ApiKey(
        id=mint_key_id(secrets.choice),
        tenant_id=tenant_id,
        name="test",
        mode=mode,
        state="active",
        created_ms=now_ms,
        expires_ms=expires_ms,
        limits=Limits.read(limits),
    )
    await tenants.issue_key(key, secret=secret, now_ms=now_ms)
    return secret
