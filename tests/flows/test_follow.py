"""Many who wait for one task share a look at it, but none that began before the change."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import StoreUnavailable
from tests.conftest import OpenBed
from tests.support.bed import Bed
from tests.support.redis_server import RedisServer
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


async def test_a_look_in_vain_is_repeated(
    open_gateway_bed: OpenBed, redis_server: RedisServer
) -> None:
    """The word that woke it is said once; a store that stalls for a moment must not eat it."""
    async with open_gateway_bed(redis_timeout_s=0.3) as bed:
        key = await bed.key()
        task_id = await bed.created(key)
        caller = await bed.gateway.store.keys.find_caller(key, "live")
        assert caller is not None
        follow = bed.gateway.follow
        with follow.waiting(caller, task_id) as wait:
            await wait_until(lambda: follow.channel.is_open, describing="the channel")
            await wait_until(wait.woken.is_set, describing="the word that it is open")
            wait.woken.clear()
            redis_server.freeze()
            with pytest.raises(StoreUnavailable):
                await follow.read_again(wait)
            redis_server.thaw()

            assert await wait.stirred(asyncio.get_running_loop().time() + 5)
            assert (await follow.read_again(wait)).body
