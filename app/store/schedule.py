"""Due sets with leases: who is to be looked at next, across every shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from redis.asyncio import Redis

from app.store.keys import ALL_SHARDS, Shard
from app.store.scripts import Script, store_errors

ScheduleName = Literal["polls", "sends", "retires"]


@dataclass(frozen=True, slots=True)
class Due:
    """The earliest entry of one schedule of one shard."""

    name: ScheduleName
    shard: Shard
    at_ms: int


class Schedules:
    """The schedules an engine works through."""

    NAMES: tuple[ScheduleName, ...] = ("sends", "polls", "retires")

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._claim_due = Script(redis, "claim_due")

    async def peek(self) -> list[Due]:
        """Return every schedule's earliest entry, soonest first, in one round trip."""
        places = [(name, shard) for name in self.NAMES for shard in ALL_SHARDS]
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name, shard in places:
                    pipe.zrange(getattr(shard, name), 0, 0, withscores=True)
                answers: list[list[tuple[bytes, float]]] = await pipe.execute()
        found = [
            Due(name, shard, int(first[0][1]))
            for (name, shard), first in zip(places, answers, strict=True)
            if first
        ]
        return sorted(found, key=lambda due: due.at_ms)

    async def claim(
        self, name: ScheduleName, shard: Shard, *, now_ms: int, lease_ms: int, most: int
    ) -> list[str]:
        """Take due entries of one schedule; each stays this process's for `lease_ms`."""
        members: list[bytes] = await self._claim_due(
            schedule=getattr(shard, name), now_ms=now_ms, lease_ms=lease_ms, most=most
        )
        return [member.decode() for member in members]
