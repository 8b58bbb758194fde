"""API keys: issued, ended, listed, and found by their secret."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, cast

from redis.asyncio import Redis

from app.domain.api_key import ApiKey
from app.domain.audit import Act
from app.domain.ids import Mode, digest_of_api_key
from app.domain.tenant import Caller
from app.errors import KeyEnded, KeyNotFound, StoreForeign
from app.store.keys import ALL_SHARDS, Shard, key_index
from app.store.scripts import Script, store_errors
from app.store.tenants import no_tenant, refuse_foreign, text, written

_KNOWN_CALLERS: Final = 50_000
"""Callers remembered by a process; about 20 MB when full."""


class KeyStore:
    """Keys of tenants; every change checks the store's epoch and records its act."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._issue_key = Script(redis, "issue_key")
        self._rotate_key = Script(redis, "rotate_key")
        self._end_key = Script(redis, "end_key")
        self._callers: dict[str, Caller] = {}

    async def issue(self, key: ApiKey, *, secret: str, act: Act) -> None:
        """Store a new key by its digest: the tenant's shard first, then the index that leads to it.

        Raises:
            TenantNotFound: there is none of that id; nothing was stored.
            KeyEnded: there is a key of this id.
        """
        tenant_id = key.tenant_id
        shard, digest = Shard.of(tenant_id), digest_of_api_key(secret)
        outcome = await self._issue_key(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            key=shard.key(tenant_id, key.id),
            keys=shard.keys(tenant_id),
            audit=shard.audit,
            epoch_id=self._epoch_id,
            key_id=key.id,
            fields=written(key.fields(digest)),
            entry=act.entry(),
        )
        refuse_foreign(outcome)
        if outcome == b"unknown":
            raise no_tenant(tenant_id)
        if outcome == b"exists":
            raise KeyEnded(f"there is a key {key.id} already")
        await self._index(key, digest)

    async def rotate(
        self,
        old_id: str,
        new: ApiKey,
        *,
        secret: str,
        ends_ms: int | None,
        acts: tuple[Act, Act],
    ) -> None:
        """Store the key that takes another's place, which ends at an instant; None: now.

        The two acts are the rotation and the end of the old key. If no reply comes, both may have
        happened: a repeated call then says which key is to be rotated instead.

        Raises:
            TenantNotFound, KeyNotFound: there is none of that id; nothing was changed.
            KeyEnded: the old key has ended or was rotated before; nothing was changed.
        """
        tenant_id, digest = new.tenant_id, digest_of_api_key(secret)
        shard = Shard.of(tenant_id)
        rotation, ending = acts
        outcome = await self._rotate_key(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            old=shard.key(tenant_id, old_id),
            new=shard.key(tenant_id, new.id),
            keys=shard.keys(tenant_id),
            tokens=shard.tokens(tenant_id, old_id),
            audit=shard.audit,
            epoch_id=self._epoch_id,
            now_ms=rotation.at_ms,
            new_id=new.id,
            fields=written(new.fields(digest)),
            ends_ms="" if ends_ms is None else ends_ms,
            entry=rotation.entry(),
            ending_entry=ending.entry(),
        )
        refuse_foreign(outcome)
        match outcome:
            case b"no_tenant":
                raise no_tenant(tenant_id)
            case b"no_key":
                raise _no_key(tenant_id, old_id)
            case b"ended":
                raise KeyEnded(f"key {old_id} has ended: issue a new one")
            case b"exists":
                raise KeyEnded(f"the key was rotated before: rotate {new.id} instead")
        await self._index(new, digest)

    async def _index(self, key: ApiKey, digest: str) -> None:
        """Lead from a secret to its key; without this last step the key opens nothing."""
        index: dict[Any, Any] = {"tenant": key.tenant_id, "key": key.id, "mode": key.mode}
        with store_errors():
            await cast(Awaitable[Any], self._redis.hset(key_index(digest), mapping=index))

    async def end(self, tenant_id: str, key_id: str, *, at_ms: int | None, act: Act) -> None:
        """End a key at an instant, unless it ends sooner; None: now, and for good.

        From then on no process creates or reads with it, or with a browser token of it.

        Raises:
            KeyNotFound: the tenant has no such key.
        """
        shard = Shard.of(tenant_id)
        outcome = await self._end_key(
            epoch=shard.epoch,
            tenant=shard.tenant(tenant_id),
            key=shard.key(tenant_id, key_id),
            tokens=shard.tokens(tenant_id, key_id),
            audit=shard.audit,
            epoch_id=self._epoch_id,
            expires_ms="" if at_ms is None else at_ms,
            entry=act.entry(),
        )
        refuse_foreign(outcome)
        if outcome == b"unknown":
            raise _no_key(tenant_id, key_id)

    async def get(self, tenant_id: str, key_id: str) -> ApiKey:
        """Return one key of a tenant.

        Raises:
            KeyNotFound: the tenant has no such key.
        """
        found = await self._hash(Shard.of(tenant_id).key(tenant_id, key_id))
        if not found:
            raise _no_key(tenant_id, key_id)
        return ApiKey.of_fields(tenant_id, found)

    async def of_tenant(self, tenant_id: str) -> list[ApiKey]:
        """Return a tenant's keys, oldest first; none where there is no such tenant."""
        shard = Shard.of(tenant_id)
        with store_errors():
            ids: set[bytes] = await cast(
                Awaitable[Any], self._redis.smembers(shard.keys(tenant_id))
            )
            async with self._redis.pipeline(transaction=False) as pipe:
                for key_id in ids:
                    pipe.hgetall(shard.key(tenant_id, key_id.decode()))
                records: list[dict[bytes, bytes]] = await pipe.execute()
        found = [ApiKey.of_fields(tenant_id, text(record)) for record in records if record]
        return sorted(found, key=lambda key: (key.created_ms, key.id))

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
        owner = Caller(tenant_id=found["tenant"], key_id=found["key"], mode=mode)
        caller = await self._bounded(owner) if owner.is_token else owner
        if caller is None:
            return None
        if len(self._callers) >= _KNOWN_CALLERS:
            self._callers.pop(next(iter(self._callers)))
        self._callers[digest] = caller
        return caller

    async def _bounded(self, token: Caller) -> Caller | None:
        """Return a browser token with what it is bound to; None where it is gone for good."""
        found = await self._hash(Shard.of(token.tenant_id).key(token.tenant_id, token.key_id))
        if not found:
            return None
        bounds = {
            "subject": found["subject"],
            "scopes": frozenset(found["scopes"].split(",")),
            "origin": found["origin"],
            "ends_ms": int(found["expires_ms"]),
        }
        return token.model_copy(update=bounds)

    async def _refuse_when_emptied(self) -> None:
        """Keep an emptied store from making every key look unknown, which callers take as final."""
        with store_errors():
            epoch = await self._redis.get(ALL_SHARDS[0].epoch)
        if epoch != self._epoch_id.encode("ascii"):
            raise StoreForeign

    async def _hash(self, name: str) -> dict[str, str]:
        with store_errors():
            found: dict[bytes, bytes] = await cast(Awaitable[Any], self._redis.hgetall(name))
        return text(found)


def _no_key(tenant_id: str, key_id: str) -> KeyNotFound:
    tenant_id = tenant_id[:64]
    return KeyNotFound(f"tenant {tenant_id} has no key {key_id[:64]}", tenant_id=tenant_id)
