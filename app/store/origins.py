"""Which web pages may call: the origins of all tenants, as this process knows them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Self

from redis.asyncio import Redis

from app.errors import StoreForeign, StoreUnavailable
from app.store.keys import ALL_SHARDS
from app.store.scripts import store_errors

MAX_AGE_MS: Final = 1_000
"""How long a change of a tenant's origins may go unseen by a process."""

_NONE: Final[frozenset[str]] = frozenset()

Origins = dict[str, frozenset[str]]
"""Origins by tenant; one that names none is left out."""


class OriginIndex:
    """Read on demand, at most once a second; while the store is away, what was last known stands.

    Whoever finds it too old waits for one read that all have in common.
    """

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id.encode("ascii")
        self._by_tenant: Origins = {}
        self._all = _NONE
        self._asked_ms = 0
        self._begun = self._learned = 0
        self._under_way: asyncio.Future[None] | None = None

    @classmethod
    async def opened(cls, redis: Redis, epoch_id: str) -> Self:
        """Return an index that knows what there is.

        Raises:
            StoreUnavailable, StoreForeign: nothing can be read.
        """
        index = cls(redis, epoch_id)
        await index.learn()
        return index

    async def refresh(self, *, now_ms: int) -> None:
        """See to it that what is known is no older than a second, if the store can be read."""
        while abs(now_ms - self._asked_ms) >= MAX_AGE_MS:
            if self._under_way is None:
                await self._read_anew(now_ms)
            else:
                await asyncio.wait([self._under_way])

    def knows(self, origin: str) -> bool:
        """Return whether any tenant names an origin."""
        return origin in self._all

    def allows(self, tenant_id: str, origin: str) -> bool:
        """Return whether a tenant names an origin."""
        return origin in self._by_tenant.get(tenant_id, _NONE)

    async def _read_anew(self, now_ms: int) -> None:
        done = self._under_way = asyncio.get_running_loop().create_future()
        try:
            with suppress(StoreUnavailable, StoreForeign):
                await self.learn()
            self._asked_ms = now_ms
        finally:
            self._under_way = None
            done.set_result(None)

    async def learn(self) -> None:
        """Read what is in force now; an answer that is overtaken by a later one counts for nothing.

        Raises:
            StoreUnavailable, StoreForeign: nothing can be read.
        """
        self._begun += 1
        number = self._begun
        found = await self._read()
        if number > self._learned:
            self._learned = number
            self._by_tenant, self._all = found, _NONE.union(*found.values())

    async def _read(self) -> Origins:
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(ALL_SHARDS[0].epoch)
                for shard in ALL_SHARDS:
                    pipe.hgetall(shard.origins)
                epoch, *found = await pipe.execute()
        if epoch != self._epoch_id:
            raise StoreForeign
        return {
            tenant_id.decode(): frozenset(listed.decode().split())
            for each in found
            for tenant_id, listed in each.items()
        }
