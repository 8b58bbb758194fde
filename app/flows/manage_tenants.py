"""What operators do to tenants, over HTTP and on the command line alike."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.clock import Clock
from app.domain.api_key import Grace
from app.domain.audit import Act, ActName, Actor
from app.domain.ids import mint_webhook_secret
from app.domain.tenant import Tenant, TenantChange
from app.store.audit import AuditLog
from app.store.tenants import TenantStore

_WEBHOOK_SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


@dataclass(frozen=True, slots=True)
class ManageTenants:
    """Create, change, show and delete tenants; every act leaves an entry in the audit log."""

    tenants: TenantStore
    audit: AuditLog
    clock: Clock

    async def create(self, tenant: Tenant, by: Actor) -> str:
        """Create a tenant and return its new webhook secret.

        Raises:
            TenantExists: the id is, or once was, another's.
        """
        secret = _new_secret()
        act = self._act(by, "tenant.created", tenant.id, tenant.public())
        await self.tenants.add(tenant, secret, act)
        return secret

    async def change(self, tenant_id: str, change: TenantChange, by: Actor) -> Tenant:
        """Change what is named, and return the tenant as it is then.

        Raises:
            TenantNotFound: there is none of that id.
        """
        act = self._act(by, "tenant.changed", tenant_id, change.public())
        await self.tenants.change(tenant_id, change, act)
        return await self.tenants.get(tenant_id)

    async def delete(self, tenant_id: str, *, force: bool, by: Actor) -> None:
        """Delete a tenant.

        Raises:
            TenantNotFound: there is none of that id.
            TasksOpen: it has unfinished tasks and `force` is not set.
        """
        act = self._act(by, "tenant.deleted", tenant_id, {"force": force})
        await self.tenants.delete(tenant_id, force=force, act=act)

    async def show_secret(self, tenant_id: str, by: Actor) -> str | None:
        """Return the webhook secret; that it was shown is recorded.

        Raises:
            TenantNotFound: there is none of that id.
        """
        secret = await self.tenants.webhook_secret(tenant_id)
        await self.audit.record(self._act(by, "tenant.secrets_shown", tenant_id))
        return secret

    async def rotate_secret(self, tenant_id: str, grace: Grace, by: Actor) -> str:
        """Return a new webhook secret; the old one signs along for the time of grace.

        Raises:
            TenantNotFound: there is none of that id.
        """
        secret = _new_secret()
        act = self._act(by, "webhook_secret.rotated", tenant_id, {"grace_s": grace.grace_s})
        until_ms = act.at_ms + grace.grace_s * 1000
        await self.tenants.rotate_webhook_secret(tenant_id, secret, old_until_ms=until_ms, act=act)
        return secret

    def _act(
        self, by: Actor, name: ActName, tenant_id: str, detail: Mapping[str, Any] | None = None
    ) -> Act:
        return Act(by, name, tenant_id, self.clock.now_ms(), detail=detail or {})


def _new_secret() -> str:
    return mint_webhook_secret(secrets.token_bytes(_WEBHOOK_SECRET_BYTES))
