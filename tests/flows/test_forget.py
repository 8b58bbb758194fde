"""The engine forgets finished tasks at the end of their retention, and only those."""

from __future__ import annotations

from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.support.bed import Bed, character
from tests.support.contents import everything

DAY_S = 86_400


async def drop_what_outlives(bed: Bed, *tenants: str) -> None:
    """Drop usage figures, journal and answers: the audit afterwards reckons by tasks."""
    redis = bed.gateway.store.redis
    for tenant_id in tenants:
        names = [raw async for raw in redis.scan_iter(match=f"rg:{{s*}}:usage:{tenant_id}:*")]
        await redis.delete(*names)
    bed.vendor.sweep()
    bed.acknowledged.clear()


async def test_a_finished_task_is_unknown_after_its_retention(bed: Bed) -> None:
    """It is read until then; afterwards nothing of it is left but what it cost."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:1"))
    await bed.pass_time(3)
    ended_ms = int((await bed.stored(task_id))["finished_ms"])
    retention_ms = bed.gateway.settings.retention_days * DAY_S * 1000
    usage = await bed.usage()

    bed.clock.advance_ms(ended_ms + retention_ms - 1 - bed.clock.now_ms())
    await bed.work()
    before = await bed.read(key, task_id)
    bed.clock.advance_ms(1)
    await bed.work()
    after = await bed.read(key, task_id)

    assert (before.status_code, after.status_code) == (200, 404)
    stored = await everything(bed.gateway.store.redis)
    # News lasts a day, by the server's own clock, which does not move with the bed's.
    kept = {name: value for name, value in stored.items() if ":news:" not in name}
    assert not [name for name, value in kept.items() if task_id in f"{name}{value}"]
    assert usage["settled"] == 100_000
    await drop_what_outlives(bed, "acme")


async def test_many_tasks_of_many_tenants_are_forgotten_together(bed: Bed) -> None:
    """Several in one shard, and some in others; the open one of another tenant stays."""
    tenants = ("acme", "hooli", "globex")
    keys = [await bed.key(tenant_id) for tenant_id in tenants]
    tasks = [await bed.created(key, character("seconds:1")) for key in keys * 4]
    await bed.pass_time(3)
    bed.vendor.fault("commit_then_status", times=1)
    doubtful = await bed.created(await bed.key("initech"))
    bed.clock.advance_ms(bed.gateway.settings.retention_days * DAY_S * 1000)

    await bed.work()

    found = [await bed.gateway.store.tasks.find(task_id) for task_id in tasks]
    assert found == [None] * 12
    assert (await bed.stored(doubtful))["id"] == doubtful
    redis = bed.gateway.store.redis
    assert await redis.zcard(Shard.of("acme").retires) == 0
    await drop_what_outlives(bed, *tenants)


async def test_the_retention_is_a_setting(open_gateway_bed: OpenBed) -> None:
    """A gateway that keeps tasks for two days forgets them after those."""
    async with open_gateway_bed(retention_days=2) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:1"))
        await bed.pass_time(3)

        bed.clock.advance_ms(2 * DAY_S * 1000)
        await bed.work()

        assert (await bed.read(key, task_id)).status_code == 404
        await drop_what_outlives(bed, "acme")
