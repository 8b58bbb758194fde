"""With which vendor keys open tasks are followed; for operators who take a key out."""

from __future__ import annotations

from collections import Counter
from typing import Final

from redis.asyncio import Redis

from app.store.keys import ALL_SHARDS
from app.store.scripts import store_errors

_CHUNK: Final = 500
"""Records in one round trip, so that the store's other callers do not wait for long."""


class FollowedTasks:
    """Plain reads of what is submitted, watched or in doubt."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def by_vendor_key(self) -> Counter[str]:
        """Return how many live tasks each vendor key is needed for."""
        found: Counter[str] = Counter()
        for shard in ALL_SHARDS:
            with store_errors():
                async with self._redis.pipeline(transaction=False) as pipe:
                    pipe.zrange(shard.polls, 0, -1)
                    pipe.zrange(shard.doubts, 0, -1)
                    polled, doubted = await pipe.execute()
            places = [shard.task(task_id.decode()) for task_id in (*polled, *doubted)]
            for start in range(0, len(places), _CHUNK):
                found.update(await self._live_keys(places[start : start + _CHUNK]))
        return found

    async def _live_keys(self, places: list[str]) -> list[str]:
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for place in places:
                    pipe.hmget(place, "mode", "vendor_key")
                records: list[list[bytes | None]] = await pipe.execute()
        return [key.decode() for mode, key in records if mode == b"live" and key]
