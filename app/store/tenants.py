"""Tenants and their API keys."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from app.domain.ids import Mode, digest_of_api_key
from app.domain.tenant import LIMIT_FIELDS, Caller, Limits, Tenant
from app.errors import StoreForeign
from app.store.keys import ALL_SHARDS, Shard, key_index
from app.store.scripts import Script, store_errors

_KNOWN_CALLERS = 50_000
"""Callers remembered by a process; about 20 MB when full."""


class TenantExists(Exception):
    """A tenant of that id exists already."""


class TenantUnknown(Exception):
    """No tenant of that id exists."""


class KeyUnknown(Exception):
    """The tenant has no key of that id."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as operators see it; the secret itself is stored nowhere."""

    id: str
    tenant_id: str
    name: str
    mode: str
    state: str
    created_ms: int
    expires_ms: int | None
    limits: Limits

    def public(self) -> dict[str, Any]:
        """Return the form operators read."""
        return {
            "id": self.id,
            "tenant": self.tenant_id,
            "name": self.name,
            "mode": self.mode,
            "state": self.state,
            "created_ms": self.created_ms,
            "expires_ms": self.expires_ms,
            "limits": self.limits.public(),
        }


class TenantStore:
    """Tenants, keys and limits; every change is checked against the store's epoch."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._add_tenant = Script(redis, "add_tenant")
        self._change_record = Script(redis, "change_record")
        self._issue_key = Script(redis, "issue_key")
        self._callers: dict[str, Caller] = {}

    async def add(self, tenant: Tenant, *, now_ms: int) -> None:
        """Create a tenant with its limits.

        Raises:
            TenantExists: nothing was changed.
        """
        shard = Shard.of(tenant.id)
        outcome = await self._add_tenant(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant.id),
            tenants=shard.tenants,
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            tenant_id=tenant.id,
            name=tenant.name,
            group=tenant.group,
            limits=_lines(tenant.limits.fields()),
        )
        _refuse_foreign(outcome)
        if outcome == b"exists":
            raise TenantExists(tenant.id)

    async def get(self, tenant_id: str) -> Tenant:
        """Return a tenant.

        Raises:
            TenantUnknown: there is none of that id.
        """
        found = await self._hash(Shard.of(tenant_id).tenant(tenant_id))
        if not found:
            raise TenantUnknown(tenant_id)
        return Tenant(
            id=tenant_id,
            name=found["name"],
            group=found["group"],
            disabled=found["state"] != "active",
            limits=Limits.of_fields(found),
        )

    async def all(self) -> list[Tenant]:
        """Return every tenant, by id."""
        ids: list[str] = []
        with store_errors():
            for shard in ALL_SHARDS:
                members: set[bytes] = await cast(
                    Awaitable[Any], self._redis.smembers(shard.tenants)
                )
                ids.extend(member.decode() for member in members)
        return [await self.get(tenant_id) for tenant_id in sorted(ids)]

    async def set_limits(self, tenant_id: str, limits: Limits) -> None:
        """Replace a tenant's limits; what was used before still counts.

        Raises:
            TenantUnknown: there is none of that id.
        """
        fields = limits.fields()
        missing = [name for name in LIMIT_FIELDS if name not in fields]
        await self._change(tenant_id, Shard.of(tenant_id).tenant(tenant_id), fields, missing)

    async def set_disabled(self, tenant_id: str, *, disabled: bool) -> None:
        """Switch a tenant off or on; off, its keys create and read nothing from that instant.

        Raises:
            TenantUnknown: there is none of that id.
        """
        state = "disabled" if disabled else "active"
        await self._change(tenant_id, Shard.of(tenant_id).tenant(tenant_id), {"state": state}, [])

    async def issue_key(self, key: ApiKey, *, secret: str, now_ms: int) -> None:
        """Store a new key by its digest: the tenant's shard first, then the index that leads to it.

        Raises:
            TenantUnknown: there is none of that id; nothing was stored.
        """
        tenant_id = key.tenant_id
        shard, digest = Shard.of(tenant_id), digest_of_api_key(secret)
        outcome = await self._issue_key(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            key=shard.key(tenant_id, key.id),
            keys=shard.keys(tenant_id),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            key_id=key.id,
            name=key.name,
            mode=key.mode,
            digest=digest,
            expires_ms="" if key.expires_ms is None else key.expires_ms,
            limits=_lines(key.limits.fields()),
        )
        _refuse_foreign(outcome)
        if outcome == b"unknown":
            raise TenantUnknown(tenant_id)
        index: dict[Any, Any] = {"tenant": tenant_id, "key": key.id, "mode": key.mode}
        with store_errors():
            await cast(Awaitable[Any], self._redis.hset(key_index(digest), mapping=index))

    async def keys(self, tenant_id: str) -> list[ApiKey]:
        """Return a tenant's keys, oldest first.

        Raises:
            TenantUnknown: there is none of that id.
        """
        await self.get(tenant_id)
        shard = Shard.of(tenant_id)
        with store_errors():
            ids: set[bytes] = await cast(
                Awaitable[Any], self._redis.smembers(shard.keys(tenant_id))
            )
        found = [await self._hash(shard.key(tenant_id, key_id.decode())) for key_id in ids]
        keys = [
            ApiKey(
                id=fields["id"],
                tenant_id=tenant_id,
                name=fields["name"],
                mode=fields["mode"],
                state=fields["state"],
                created_ms=int(fields["created_ms"]),
                expires_ms=int(fields["expires_ms"]) if "expires_ms" in fields else None,
                limits=Limits.of_fields(fields),
            )
            for fields in found
            if fields
        ]
        return sorted(keys, key=lambda key: (key.created_ms, key.id))

    async def revoke_key(self, tenant_id: str, key_id: str) -> None:
        """End a key; from that instant no process creates or reads with it.

        Raises:
            KeyUnknown: the tenant has no such key.
        """
        record = Shard.of(tenant_id).key(tenant_id, key_id)
        try:
            await self._change(tenant_id, record, {"state": "revoked"}, [])
        except TenantUnknown:
            raise KeyUnknown(key_id) from None

    async def find_caller(self, secret: str, mode: Mode) -> Caller | None:
        """Return whose key this is, or None. Says nothing about whether the key still works.

        A key never changes its owner, so the answer is remembered; state, expiry and limits are
        checked by the script that serves the request.

        Raises:
            StoreForeign: the store was emptied or exchanged, so nobody can be known.
        """
        digest = digest_of_api_key(secret)
        known = self._callers.get(digest)
        if known is not None:
            return known
        found = await self._hash(key_index(digest))
        if not found:
            await self._refuse_when_emptied()
        if not found or found["mode"] != mode:
            return None
        if len(self._callers) >= _KNOWN_CALLERS:
            self._callers.pop(next(iter(self._callers)))
        caller = Caller(tenant_id=found["tenant"], key_id=found["key"], mode=mode)
        self._callers[digest] = caller
        return caller

    async def _refuse_when_emptied(self) -> None:
        """Keep an emptied store from making every key look unknown, which callers take as final."""
        with store_errors():
            epoch = await self._redis.get(ALL_SHARDS[0].epoch)
        if epoch != self._epoch_id.encode("ascii"):
            raise StoreForeign

    async def _hash(self, name: str) -> dict[str, str]:
        with store_errors():
            found: dict[bytes, bytes] = await cast(Awaitable[Any], self._redis.hgetall(name))
        return {field.decode(): value.decode() for field, value in found.items()}

    async def _change(
        self, tenant_id: str, record: str, fields: Mapping[str, str], removed: list[str]
    ) -> None:
        outcome = await self._change_record(
            epoch=Shard.of(tenant_id).epoch,
            record=record,
            epoch_id=self._epoch_id,
            set=_lines(fields),
            unset="".join(f"{name}\n" for name in removed),
        )
        _refuse_foreign(outcome)
        if outcome == b"unknown":
            raise TenantUnknown(tenant_id)


def _lines(fields: Mapping[str, str]) -> str:
    """Write fields as the scripts read them: name and value, each on a line of its own."""
    return "".join(f"{name}\n{value}\n" for name, value in fields.items())


def _refuse_foreign(outcome: bytes) -> None:
    if outcome == b"store_foreign":
        raise StoreForeign
