"""Every key in Redis expires, belongs to an open task, or is named permanent."""

from __future__ import annotations

import re

from redis.asyncio import Redis

from app.domain.task import FINAL
from app.store.keys import OPEN_PATTERNS, PERMANENT_PATTERNS

_FINAL_WORDS = {state.value for state in FINAL}


async def keys_that_never_end(redis: Redis) -> list[str]:
    """Return the keys without an expiry that no rule of `app/store/keys.py` allows."""
    open_tasks = await _open_tasks(redis)
    found: list[str] = []
    async for raw in redis.scan_iter(count=1000):
        name = raw.decode()
        if await redis.pttl(name) != -1 or _matches(name, PERMANENT_PATTERNS):
            continue
        if not (_matches(name, OPEN_PATTERNS) and open_tasks):
            found.append(name)
    return found


async def _open_tasks(redis: Redis) -> set[str]:
    open_ids: set[str] = set()
    async for raw in redis.scan_iter(match="rg:{s*}:task:*", count=1000):
        state, task_id = await redis.hmget(raw, "state", "id")
        if state is not None and state.decode() not in _FINAL_WORDS:
            open_ids.add(task_id.decode())
    return open_ids


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)
