"""The whole content of a store, to be compared before and after."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis


async def everything(redis: Redis) -> dict[str, tuple[Any, int]]:
    """Return every key with its value and the instant it expires at (-1: never)."""
    found = {}
    async for raw in redis.scan_iter(count=1000):
        found[raw.decode()] = (await _value(redis, raw), await redis.pexpiretime(raw))
    return found


async def _value(redis: Redis, name: bytes) -> Any:
    match await redis.type(name):
        case b"hash":
            return await redis.hgetall(name)
        case b"set":
            return await redis.smembers(name)
        case b"list":
            return await redis.lrange(name, 0, -1)
        case b"stream":
            return await redis.xrange(name)
        case b"zset":
            return await redis.zrange(name, 0, -1, withscores=True)
        case _:
            return await redis.get(name)
