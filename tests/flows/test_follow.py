"""Many who wait for one task share a look at it, but none that began before the change."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.bed import Bed
from tests.support.wait import wait_until


@pytest.mark.parametrize(("is_told", "looks"), [(False, 1), (True, 2)])
async def test_a_look_is_shared_until_there_is_news(bed: Bed, is_told: bool, looks: int) -> None:
    """Whoever is woken by a change must not be shown what was there before it."""
    key = await bed.key()
    task_id = await bed.created(key)
    caller = await bed.gateway.store.keys.find_caller(key, "live")
    assert caller is not None
    follow, redis = bed.gateway.follow, bed.gateway.store.redis
    with follow.waiting(caller, task_id) as wait:
        # Whoever waits is woken when the channel opens, too.
        await wait_until(lambda: follow.channel.is_open, describing="the channel")
        await redis.config_resetstat()
        async with asyncio.TaskGroup() as group:
            group.create_task(follow.read_again(wait))
            await asyncio.sleep(0)
            if is_told:
                follow.heed(f"acme live {task_id}")
            group.create_task(follow.read_again(wait))

    stats = await redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == looks
