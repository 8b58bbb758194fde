"""Every figure that can refuse a create is reckoned; by one process for all, and in small steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from app.store.keys import Shard, month_before, windows
from tests.conftest import OpenBed
from tests.flows.test_take_stock import chore, drifts
from tests.support.bed import Bed, character

OPEN = 4_000


def family_of_the_key(bed: Bed, record: dict[str, str]) -> str:
    """Return the family that a task's key belongs to."""
    return record["key"].partition(".")[0]


def shown(bed: Bed, name: str) -> float | None:
    """Return what one of the gauges shows."""
    return bed.gateway.metrics.registry.get_sample_value(f"reelgate_{name}")


@pytest.mark.parametrize("off", [7, -7])
@pytest.mark.parametrize("window", ["day", "month"])
@pytest.mark.parametrize("of_a_key", [False, True], ids=["tenant", "key"])
@pytest.mark.parametrize("mode", ["live", "test"])
async def test_a_leak_is_found_in_each_figure_that_limits(
    bed: Bed, off: int, window: str, of_a_key: bool, mode: Any
) -> None:
    """Of the day and the month, of the tenant and of a family of keys, in either mode."""
    task_id = await bed.created(await bed.key(mode=mode), character("outcome:never"))
    family = family_of_the_key(bed, await bed.stored(task_id)) if of_a_key else ""
    name = windows(bed.clock.now_ms())[window == "month"]
    figures, field = Shard.of("acme").usage("acme", mode, name), f"held:{family}".rstrip(":")
    redis = bed.gateway.store.redis
    await redis.hincrby(figures, field, off)

    (found,) = await drifts(bed)

    await redis.hincrby(figures, field, -off)
    assert (found.tenant_id, found.mode, found.window, found.family, found.amount) == (
        *("acme", mode, name, family, off),
    )
    assert await drifts(bed) == []


@pytest.mark.parametrize("field", ["held", "held:key_gone"])
async def test_a_leak_is_found_where_nothing_is_open(bed: Bed, field: str) -> None:
    """Today, yesterday, this month and the last: a whole tenant's, and that of a key alone."""
    await bed.key()
    now_ms, redis = bed.clock.now_ms(), bed.gateway.store.redis
    names = {*windows(now_ms), windows(now_ms - 86_400_000)[0], month_before(now_ms)}
    places = [Shard.of("acme").usage("acme", "live", name) for name in names]
    for place in places:
        await redis.hset(place, field, 5)

    found = await drifts(bed)

    for place in places:
        await redis.delete(place)
    assert {each.window for each in found} == names
    assert {(each.reserved, each.held) for each in found} == {(5, 0)}


async def test_a_rotated_key_is_reckoned_with_its_family(bed: Bed) -> None:
    """What the old and the new one hold is one figure."""
    key = await bed.key()
    first = await bed.created(key, character("outcome:never"))
    record = await bed.stored(first)
    await bed.gateway.store.redis.hset(Shard.of("acme").task(first), "key", f"{record['key']}.2")

    assert await drifts(bed) == []


async def test_one_process_reckons_and_all_show_it(open_gateway_bed: OpenBed) -> None:
    """At a minute's distance; a leak shows everywhere, and goes everywhere."""
    async with open_gateway_bed() as one, open_gateway_bed() as other:
        await one.key()
        name = Shard.of("acme").usage("acme", "live", windows(one.clock.now_ms())[1])
        redis = one.gateway.store.redis
        await redis.hset(name, "held", 7)
        await chore(one, "stock").work()
        await redis.delete(name)
        await chore(other, "stock").work()
        both = [shown(bed, "drift_microcredits") for bed in (one, other)]

        one.clock.advance_ms(60_000)
        await chore(other, "stock").work()
        await chore(one, "stock").work()

        assert both == [7, 7]
        assert [shown(bed, "drift_microcredits") for bed in (one, other)] == [0, 0]


async def test_the_age_of_what_is_shown_can_be_told(bed: Bed) -> None:
    """A reckoning that fails, or is somebody else's turn for long, leaves its instant as it was."""
    await chore(bed, "stock").work()
    first = shown(bed, "stock_taken_timestamp_seconds")
    redis = bed.gateway.store.redis
    name = Shard.of("acme").usage("acme", "live", windows(bed.clock.now_ms())[1])
    await bed.key()
    await redis.set(name, "spoilt")
    bed.clock.advance_ms(60_000)

    with suppress(Exception):
        await chore(bed, "stock").work()
    failed = shown(bed, "stock_taken_timestamp_seconds")
    await redis.delete(name)
    await chore(bed, "stock").work()
    not_its_turn = shown(bed, "stock_taken_timestamp_seconds")
    await redis.delete("rg:{vendor}:stock_turn")
    await chore(bed, "stock").work()

    assert first == failed == not_its_turn
    assert shown(bed, "stock_taken_timestamp_seconds") == bed.clock.now_ms() / 1000


@asynccontextmanager
async def many_open(bed: Bed, count: int) -> AsyncIterator[None]:
    """Keep open tasks that hold a microcredit each, which nothing has reserved."""
    task_id = await bed.created(await bed.key(), character("outcome:never"))
    shard, redis, now_ms = Shard.of("acme"), bed.gateway.store.redis, bed.clock.now_ms()
    key_id, opened = (await bed.stored(task_id))["key"], shard.listed("acme", "live", "open")
    ids = [f"task-unified-1-{number:025d}" for number in range(count)]
    async with redis.pipeline(transaction=False) as pipe:
        for each in ids:
            pipe.zadd(opened, {each: now_ms})
            pipe.hset(shard.task(each), "key", key_id)
            pipe.rpush(shard.ledger(each), f"{now_ms} hold 1")
        await pipe.execute()
    yield
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zrem(opened, *ids)
        pipe.delete(*(shard.task(each) for each in ids), *(shard.ledger(each) for each in ids))
        await pipe.execute()


async def longest_turn_s(done: asyncio.Event) -> float:
    """Return the longest time that anything else has kept this thread to itself."""
    longest_s = 0.0
    while not done.is_set():
        before_s = time.thread_time()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.thread_time() - before_s)
    return longest_s


async def test_a_large_store_does_not_stop_everything_else(bed: Bed) -> None:
    """Thousands of open tasks are read in small steps: what else is to be done comes in between.

    Measured in time of this thread, of which a busy machine takes nothing away.
    """
    async with many_open(bed, OPEN), asyncio.TaskGroup() as group:
        done = asyncio.Event()
        longest = group.create_task(longest_turn_s(done))
        began_s = time.thread_time()
        found = await drifts(bed)
        took_s = time.thread_time() - began_s
        done.set()

    assert [each.amount for each in found] == [-OPEN] * 4
    assert longest.result() < took_s / 10
