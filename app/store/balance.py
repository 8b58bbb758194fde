"""The looks at the vendor's balance: the last one, whose turn the next is, what we settled."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any, Final, cast

from redis.asyncio import Redis

from app.domain.balance import Comparison, Look
from app.domain.pricing import Microcredits
from app.store.keys import ALL_SHARDS, LAST_BALANCE, TURN_OF_BALANCE, Shard
from app.store.scripts import store_errors

_KEPT_S: Final = 40 * 86_400
_TURN_S: Final = 600
_AGAIN_S: Final = 6 * 3600
"""A vendor that told nothing is asked again a few times a day: it may not know the call at all."""


class BalanceStore:
    """One look for all processes; plain commands, since nothing depends on them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take_turn(self) -> bool:
        """Return whether this process may look now; a turn not given back ends by itself."""
        with store_errors():
            return bool(await self._redis.set(TURN_OF_BALANCE, 1, nx=True, ex=_TURN_S))

    async def put_off(self) -> None:
        """Keep the turn for long: whoever looked learnt nothing, and nobody else would."""
        with store_errors():
            await self._redis.set(TURN_OF_BALANCE, 1, ex=_AGAIN_S)

    async def last(self) -> Look | None:
        """Return the last look, or None where there was none for long."""
        with store_errors():
            kept = await self._redis.get(LAST_BALANCE)
        if kept is None:
            return None
        shown: dict[str, Any] = json.loads(kept)
        compared = shown.pop("comparison")
        return Look(**shown, comparison=Comparison(**compared) if compared else None)

    async def keep(self, look: Look) -> None:
        """Keep a look in place of the last one, and give the turn back."""
        with store_errors():
            await self._redis.set(LAST_BALANCE, json.dumps(asdict(look)), ex=_KEPT_S)
            await self._redis.delete(TURN_OF_BALANCE)

    async def settled(
        self, months: Collection[str], known: Collection[str]
    ) -> tuple[dict[str, Microcredits], list[str]]:
        """Return what live tasks of those months have cost so far, and for which tenants.

        Asked are all tenants, and those of `known` that were deleted meanwhile.
        """
        totals, spenders = dict.fromkeys(months, 0), set[str]()
        for shard in ALL_SHARDS:
            with store_errors():
                members: set[bytes] = await cast(Any, self._redis.smembers(shard.tenants))
                tenants = {each.decode() for each in members}
                tenants |= {each for each in known if Shard.of(each) == shard}
                places = [(each, month) for each in tenants for month in totals]
                async with self._redis.pipeline(transaction=False) as pipe:
                    for tenant_id, month in places:
                        pipe.hget(shard.usage(tenant_id, "live", month), "settled")
                    found: list[bytes | None] = await pipe.execute()
            for (tenant_id, month), amount in zip(places, found, strict=True):
                totals[month] += int(amount or 0)
                if int(amount or 0):
                    spenders.add(tenant_id)
        return totals, sorted(spenders)
