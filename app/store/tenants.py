"""Tenants: created, changed, deleted and read."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, cast

from redis.asyncio import Redis

from app.domain.audit import Act
from app.domain.tenant import Tenant, TenantChange
from app.errors import StoreForeign, TasksOpen, TenantExists, TenantNotFound
from app.store.keys import ALL_SHARDS, Shard
from app.store.scripts import Script, store_errors

_SHOWN_CHARS = 64
"""Of an id that was asked for and is not there; a real one is no longer."""


class TenantStore:
    """Tenants and their limits; every change checks the store's epoch and records its act."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._add_tenant = Script(redis, "add_tenant")
        self._change_tenant = Script(redis, "change_tenant")
        self._delete_tenant = Script(redis, "delete_tenant")
        self._rotate_webhook_secret = Script(redis, "rotate_webhook_secret")

    async def add(self, tenant: Tenant, webhook_secret: str, act: Act) -> None:
        """Create a tenant with its limits.

        Raises:
            TenantExists: nothing was changed; the id is or was another's.
        """
        shard = Shard.of(tenant.id)
        stored = {"created_ms": str(act.at_ms), "webhook_secret": webhook_secret}
        outcome = await self._add_tenant(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant.id),
            tenants=shard.tenants,
            origins=shard.origins,
            audit=shard.audit,
            epoch_id=self._epoch_id,
            tenant_id=tenant.id,
            fields=written(tenant.fields() | stored),
            entry=act.entry(),
        )
        refuse_foreign(outcome)
        if outcome == b"exists":
            raise TenantExists(
                f"tenant {tenant.id} exists already, or did once: ids are never used again"
            )

    async def get(self, tenant_id: str) -> Tenant:
        """Return a tenant.

        Raises:
            TenantNotFound: there is none of that id, or no longer.
        """
        return Tenant.of_fields(await self._living(tenant_id))

    async def webhook_secret(self, tenant_id: str) -> str | None:
        """Return the secret a tenant's webhooks are signed with.

        Raises:
            TenantNotFound: there is none of that id, or no longer.
        """
        return (await self._living(tenant_id)).get("webhook_secret")

    async def all(self) -> list[Tenant]:
        """Return every tenant, by id, in two round trips."""
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for shard in ALL_SHARDS:
                    pipe.smembers(shard.tenants)
                members: list[set[bytes]] = await pipe.execute()
            ids = sorted(tenant_id.decode() for found in members for tenant_id in found)
            async with self._redis.pipeline(transaction=False) as pipe:
                for tenant_id in ids:
                    pipe.hgetall(Shard.of(tenant_id).tenant(tenant_id))
                records: list[dict[bytes, bytes]] = await pipe.execute()
        # One that was deleted between the two is left out.
        return [Tenant.of_fields(text(record)) for record in records if b"id" in record]

    async def change(self, tenant_id: str, change: TenantChange, act: Act) -> None:
        """Change what is named and lift limits that are named null; what was used still counts.

        Off, a tenant's keys create and read nothing from that instant.

        Raises:
            TenantNotFound: there is none of that id, or no longer; nothing was changed.
        """
        shard = Shard.of(tenant_id)
        outcome = await self._change_tenant(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            origins=shard.origins,
            audit=shard.audit,
            epoch_id=self._epoch_id,
            set=written(change.fields()),
            unset="".join(f"{name}\n" for name in change.limits.lifted()),
            entry=act.entry(),
        )
        refuse_foreign(outcome)
        if outcome == b"unknown":
            raise no_tenant(tenant_id)

    async def rotate_webhook_secret(
        self, tenant_id: str, secret: str, *, old_until_ms: int, act: Act
    ) -> None:
        """Sign with another secret, and with the one before until `old_until_ms`.

        Two older ones sign along as long as they were to, unless that instant is over.

        Raises:
            TenantNotFound: there is none of that id, or no longer; nothing was changed.
        """
        shard = Shard.of(tenant_id)
        outcome = await self._rotate_webhook_secret(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            audit=shard.audit,
            now_ms=act.at_ms,
            epoch_id=self._epoch_id,
            secret=secret,
            until_ms=old_until_ms,
            entry=act.entry(),
        )
        refuse_foreign(outcome)
        if outcome == b"unknown":
            raise no_tenant(tenant_id)

    async def delete(self, tenant_id: str, *, force: bool, act: Act) -> None:
        """End a tenant for good: its id stays taken, its keys open nothing from that instant.

        Unfinished tasks, which only `force` allows, go on and are settled.

        Raises:
            TenantNotFound: there is none of that id, or no longer.
            TasksOpen: it has unfinished tasks, and `force` is not set; nothing was changed.
        """
        shard = Shard.of(tenant_id)
        outcome, *rest = await self._delete_tenant(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            tenants=shard.tenants,
            origins=shard.origins,
            live_tasks=shard.listed(tenant_id, "live", "open"),
            test_tasks=shard.listed(tenant_id, "test", "open"),
            live_webhooks=shard.webhooks(tenant_id, "live"),
            test_webhooks=shard.webhooks(tenant_id, "test"),
            audit=shard.audit,
            epoch_id=self._epoch_id,
            tenant_id=tenant_id,
            now_ms=act.at_ms,
            force=int(force),
            entry=act.entry(),
        )
        refuse_foreign(outcome)
        if outcome == b"unknown":
            raise no_tenant(tenant_id)
        if outcome == b"open":
            tasks = "1 unfinished task" if rest[0] == 1 else f"{rest[0]} unfinished tasks"
            raise TasksOpen(
                f"tenant {tenant_id} has {tasks}: wait, or delete with force (force=true, --force)"
            )

    async def _living(self, tenant_id: str) -> dict[str, str]:
        with store_errors():
            found: dict[bytes, bytes] = await cast(
                Awaitable[Any], self._redis.hgetall(Shard.of(tenant_id).tenant(tenant_id))
            )
        if b"id" not in found:
            raise no_tenant(tenant_id)
        return text(found)


def no_tenant(tenant_id: str) -> TenantNotFound:
    """Return the error for an id that no tenant has."""
    return TenantNotFound(f"there is no tenant {tenant_id[:_SHOWN_CHARS]}")


def written(fields: Mapping[str, str]) -> str:
    """Write fields as `fields.lua` reads them: name and value, each on a line of its own."""
    return "".join(f"{name}\n{value}\n" for name, value in fields.items())


def text(record: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return a hash as text."""
    return {field.decode(): value.decode() for field, value in record.items()}


def refuse_foreign(outcome: bytes) -> None:
    """Let any outcome pass but that of a store that is not the expected one.

    Raises:
        StoreForeign: the store was emptied or exchanged; nothing was changed.
    """
    if outcome == b"store_foreign":
        raise StoreForeign
