"""Tenants and keys for tests, written to the store as operators write them."""

from __future__ import annotations

import secrets
from typing import Any

from app.domain.api_key import ApiKey
from app.domain.audit import GATEWAY, Act, ActName
from app.domain.ids import Mode, mint_api_key, mint_key_id
from app.domain.tenant import Limits, Tenant, TenantChange
from app.errors import TenantExists
from app.store.api_keys import KeyStore
from app.store.tenants import TenantStore


def act(tenant_id: str, *, at_ms: int, name: ActName = "tenant.changed", key_id: str = "") -> Act:
    """Return an entry for the audit log, of what a test does."""
    return Act(GATEWAY, name, tenant_id, at_ms, key_id)


async def key_of_tenant(
    tenants: TenantStore,
    keys: KeyStore,
    tenant_id: str,
    *,
    now_ms: int,
    mode: Mode = "live",
    **limits: Any,
) -> str:
    """Return a new key of a tenant, which is made with `limits` if it does not exist."""
    tenant = Tenant.read({"id": tenant_id, "limits": limits})
    try:
        created = act(tenant_id, at_ms=now_ms, name="tenant.created")
        await tenants.add(tenant, "whsec_" + "A" * 43 + "=", created)
    except TenantExists:
        assert not limits, "the tenant exists already: its limits would be ignored"
    return await issued_key(keys, tenant_id, now_ms=now_ms, mode=mode)


async def issued_key(
    keys: KeyStore,
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
        created_ms=now_ms,
        expires_ms=expires_ms,
        limits=Limits.read(limits),
    )
    issued = act(tenant_id, at_ms=now_ms, name="key.issued", key_id=key.id)
    await keys.issue(key, secret=secret, act=issued)
    return secret


async def limit(tenants: TenantStore, tenant_id: str, *, at_ms: int, **limits: Any) -> None:
    """Change limits of a tenant as an operator does: None lifts one, others stay."""
    change = TenantChange.read({"limits": limits})
    await tenants.change(tenant_id, change, act(tenant_id, at_ms=at_ms))


async def switch(tenants: TenantStore, tenant_id: str, *, at_ms: int, disabled: bool) -> None:
    """Switch a tenant off or on."""
    change = TenantChange.read({"disabled": disabled})
    await tenants.change(tenant_id, change, act(tenant_id, at_ms=at_ms))


async def revoke(keys: KeyStore, tenant_id: str, key_id: str, *, at_ms: int) -> None:
    """End a key at once."""
    await end_key(keys, tenant_id, key_id, at_ms=at_ms, expires_ms=None)


async def end_key(
    keys: KeyStore, tenant_id: str, key_id: str, *, at_ms: int, expires_ms: int | None
) -> None:
    """End a key at an instant; None: at once, and for good."""
    ended = act(tenant_id, at_ms=at_ms, name="key.revoked", key_id=key_id)
    await keys.end(tenant_id, key_id, at_ms=expires_ms, act=ended)
