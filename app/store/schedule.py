"""Due sets with leases: who is to be looked at next, across every shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from app.store.identity import StoreIdentity
from app.store.keys import ALL_SHARDS, Shard
from app.store.scripts import Script, store_errors

ScheduleName = Literal["polls", "sends", "doubts", "dispatch", "retires", "deliveries"]


@dataclass(frozen=True, slots=True)
class Due:
    """The earliest entry of one schedule of one shard."""

    name: ScheduleName
    shard: Shard
    at_ms: int


class Schedules:
    """The schedules an engine works through."""

    NAMES: tuple[ScheduleName, ...] = (
        "sends",
        "dispatch",
        "polls",
        "doubts",
        "deliveries",
        "retires",
    )

    def __init__(self, redis: Redis, identity: StoreIdentity) -> None:
        self._redis, self._identity = redis, identity
        self._claim_due = Script(redis, "claim_due")

    async def peek(self) -> list[Due]:
        """Return every schedule's earliest entry, soonest first, in one round trip.

        Raises:
            StoreForeign: the store was emptied, or set back to an older copy of itself.
        """
        seen = [self._identity.seen(shard) for shard in ALL_SHARDS]
        places = [(name, shard) for name in self.NAMES for shard in ALL_SHARDS]
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name, shard in places:
                    pipe.zrange(getattr(shard, name), 0, 0, withscores=True)
                for shard in ALL_SHARDS:
                    pipe.hmget(shard.marks, self._identity.look_fields(shard))
                answers: list[Any] = await pipe.execute()
        for shard, marks, before in zip(ALL_SHARDS, answers[len(places) :], seen, strict=True):
            await self._identity.compare(shard, marks, before)
        found = [
            Due(name, shard, int(first[0][1]))
            for (name, shard), first in zip(places, answers[: len(places)], strict=True)
            if first
        ]
        return sorted(found, key=lambda due: due.at_ms)

    async def put_off(self, name: ScheduleName, shard: Shard, member: str, *, at_ms: int) -> None:
        """Move an entry that is still there to another time."""
        with store_errors():
            await self._redis.zadd(getattr(shard, name), {member: at_ms}, xx=True)

    async def claim(
        self, name: ScheduleName, shard: Shard, *, now_ms: int, lease_ms: int, most: int
    ) -> list[str]:
        """Take due entries of one schedule; each stays this process's for `lease_ms`."""
        members: list[bytes] = await self._claim_due(
            schedule=getattr(shard, name), now_ms=now_ms, lease_ms=lease_ms, most=most
        )
        return [member.decode() for member in members]
