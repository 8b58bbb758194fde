"""The store's own time, which every process goes by."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from redis.asyncio import Redis

from app.clock import StoreClock
from app.store.scripts import store_errors


async def sample_time(clock: StoreClock, redis: Redis) -> float:
    """Set `clock` by the store's `TIME`; returns how far it was moved, milliseconds.

    Raises:
        StoreUnavailable: Redis does not answer; the clock runs on as it was.
    """
    asked_ms = clock.mark_ms()
    with store_errors():
        seconds, micros = await cast(Awaitable[Any], redis.time())
    return clock.sample(float(seconds) * 1000 + float(micros) / 1000, asked_ms)
