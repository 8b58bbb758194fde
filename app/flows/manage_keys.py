"""What operators do to API keys, over HTTP and on the command line alike."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from app.clock import Clock
from app.domain.api_key import ApiKey, Grace, KeyWish
from app.domain.audit import Act, ActName, Actor
from app.domain.ids import is_token_id, mint_api_key, mint_key_id, next_key_id
from app.domain.instants import rfc3339
from app.errors import KeyEnded
from app.store.api_keys import KeyStore
from app.store.tenants import TenantStore


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, and its secret, which is shown this once and stored nowhere."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class ManageKeys:
    """Issue, rotate, revoke and list keys; every act leaves an entry in the audit log."""

    tenants: TenantStore
    keys: KeyStore
    clock: Clock

    async def issue(self, tenant_id: str, wish: KeyWish, by: Actor) -> IssuedKey:
        """Issue a key.

        Raises:
            TenantNotFound: there is no such tenant; nothing was issued.
        """
        key = ApiKey(
            id=mint_key_id(secrets.choice),
            tenant_id=tenant_id,
            name=wish.name or wish.mode,
            mode=wish.mode,
            created_ms=self.clock.now_ms(),
            expires_ms=wish.expires_at,
            limits=wish.limits,
        )
        shown = wish.model_dump(mode="json", exclude_unset=True)
        if key.expires_ms is not None:
            shown["expires_at"] = rfc3339(key.expires_ms)
        act = Act(by, "key.issued", tenant_id, key.created_ms, key.id, shown)
        secret = mint_api_key(key.mode, secrets.choice)
        await self.keys.issue(key, secret=secret, act=act)
        return IssuedKey(key, secret)

    async def rotate(self, tenant_id: str, key_id: str, grace: Grace, by: Actor) -> IssuedKey:
        """Issue the key that takes another's place, with its name, limits, end and counters.

        The old key goes on for the time of grace.

        Raises:
            TenantNotFound, KeyNotFound: there is none of that id.
            KeyEnded: the key was revoked, has expired or was rotated before, or is a browser token.
        """
        if is_token_id(key_id):
            raise KeyEnded(f"{key_id} is a browser token: mint another with its key")
        now_ms = self.clock.now_ms()
        await self.tenants.get(tenant_id)
        old = await self.keys.get(tenant_id, key_id)
        new = old.model_copy(
            update={"id": next_key_id(key_id), "created_ms": now_ms, "state": "active"}
        )
        ends_ms = now_ms + grace.grace_s * 1000 if grace.grace_s else None
        detail = {"from": key_id, "grace_s": grace.grace_s}
        rotation = Act(by, "key.rotated", tenant_id, now_ms, new.id, detail)
        secret = mint_api_key(new.mode, secrets.choice)
        await self.keys.rotate(
            key_id,
            new,
            secret=secret,
            ends_ms=ends_ms,
            acts=(rotation, self._ending(tenant_id, key_id, ends_ms, by)),
        )
        return IssuedKey(new, secret)

    async def revoke(self, tenant_id: str, key_id: str, by: Actor) -> ApiKey:
        """End a key: from that instant it creates and reads nothing, on every process.

        Raises:
            TenantNotFound, KeyNotFound: there is none of that id.
        """
        await self.tenants.get(tenant_id)
        act = self._ending(tenant_id, key_id, None, by)
        await self.keys.end(tenant_id, key_id, at_ms=None, act=act)
        return await self.keys.get(tenant_id, key_id)

    async def of_tenant(self, tenant_id: str) -> list[ApiKey]:
        """Return a tenant's keys, oldest first.

        Raises:
            TenantNotFound: there is no such tenant.
        """
        await self.tenants.get(tenant_id)
        return await self.keys.of_tenant(tenant_id)

    def _ending(self, tenant_id: str, key_id: str, at_ms: int | None, by: Actor) -> Act:
        name: ActName = "key.revoked" if at_ms is None else "key.expiry_set"
        detail = {} if at_ms is None else {"expires_at": rfc3339(at_ms)}
        return Act(by, name, tenant_id, self.clock.now_ms(), key_id, detail)
