"""Sends whose process is gone: found when overdue, kept in doubt, and never sent again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from app import failpoints
from app.flows.submit import RECOVERY_MARGIN_MS
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.watching import reaches, sends_end, task_in
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor

SEND_S = 2
"""The deadline of one send in these tests; a task is overdue after three of them and the margin."""

OVERDUE_S = 3 * SEND_S + RECOVERY_MARGIN_MS / 1000


async def abandoned(bed: Bed, key: str, point: str = "submit.admitted") -> str:
    """Return a task whose sender died at a point."""
    failpoints.arm({point: "raise"})
    await bed.create(key, idempotency_key="one")
    failpoints.arm({})
    (name,) = [raw async for raw in bed.gateway.store.redis.scan_iter(match="rg:{s*}:task:*")]
    return str(name.decode().rpartition(":")[2])


@pytest.mark.parametrize(
    ("point", "creates"), [("submit.admitted", 0), ("submit.answered", 1), ("submit.accepting", 1)]
)
async def test_an_overdue_send_is_doubted_and_not_sent_again(
    open_gateway_bed: OpenBed, vendor: Vendor, point: str, creates: int
) -> None:
    """Nobody can tell whether it left: hold and slot stay at first, and no POST follows."""
    async with open_gateway_bed(vendor={"submit_timeout_s": SEND_S}) as bed:
        key = await bed.key(tasks_in_flight=1)
        task_id = await abandoned(bed, key, point)

        await bed.pass_time(OVERDUE_S - 0.001)
        early = (await bed.stored(task_id))["state"]
        await bed.pass_time(0.001)
        await bed.pass_time(590)

        assert early == "sending"
        assert (await bed.stored(task_id))["state"] == "in_doubt"
        assert (await bed.create(key)).status_code == 429
        assert len(vendor.creates()) == creates


async def test_a_doubtful_task_can_still_be_read(bed: Bed) -> None:
    """To whoever learns its id from a repetition it is `pending`, before and after."""
    key = await bed.key()
    task_id = await abandoned(bed, key)
    await bed.pass_time(600)

    answer = await bed.create(key, idempotency_key="one")

    assert task_in(answer) == task_id
    assert (await bed.read(key, task_id)).content == answer.content
    assert answer.json()["status"] == "pending"


async def test_three_engines_doubt_each_overdue_send_once(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A whole process died with its sends; whoever finds them, each becomes one doubt."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed()) for _ in range(3)]
        failpoints.arm({"submit.admitted": "raise"})
        for n in range(12):
            await beds[0].create(await beds[0].key(f"tenant-{n}"))
        failpoints.arm({})
        beds[0].clock.advance_ms(3_600_000)

        await asyncio.gather(*(bed.work() for bed in beds))

        doubts = [
            await beds[0].gateway.store.redis.zcard(Shard(number).doubts) for number in range(16)
        ]
        counted = [
            bed.gateway.metrics.registry.get_sample_value("reelgate_tasks_doubted_total")
            for bed in beds
        ]
        assert sum(doubts) == sum(count or 0 for count in counted) == 12
        assert vendor.creates() == []


async def test_a_send_that_is_merely_slow_is_followed_after_all(bed: Bed, vendor: Vendor) -> None:
    """An engine gave it up too early; when the vendor's yes comes in, the doubt is over."""
    key = await bed.key()
    vendor.fault("delay", ms=600, times=1)

    async with asyncio.TaskGroup() as callers:
        creating = callers.create_task(bed.create(key, character("seconds:900")))
        await reaches(vendor)
        await bed.pass_time(600)
        (doubtful,) = [
            raw async for raw in bed.gateway.store.redis.scan_iter(match="rg:{s*}:doubts")
        ]

    task_id = task_in(creating.result())
    assert doubtful == Shard.of("acme").doubts.encode()
    assert (await bed.stored(task_id))["state"] == "submitted"
    await bed.pass_time(600)
    assert (await bed.read(key, task_id)).json()["status"] == "completed"


async def test_a_refusal_that_comes_late_releases_the_doubt(bed: Bed, vendor: Vendor) -> None:
    """The vendor's no is proof: what was held in doubt is given back."""
    key = await bed.key(tasks_in_flight=1, credits_per_day="0.1")
    vendor.fault("delay", ms=600, times=1)

    async with asyncio.TaskGroup() as callers:
        creating = callers.create_task(bed.create(key, character("dance:1")))
        await reaches(vendor)
        await bed.pass_time(600)

    assert creating.result().status_code == 400
    assert (await bed.usage())["held"] == 0
    assert (await bed.create(key)).status_code == 200


async def test_sends_cut_off_by_a_stop_come_back_as_doubts(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A process that had to stop in the middle of a send leaves it to the next one's engine."""
    async with open_gateway_bed(drain_s=0.05, create_answer_s=0.05) as bed:
        key = await bed.key()
        vendor.fault("commit_then_hang", times=1)
        task_id = await bed.created(key)
        cut_off = len(bed.gateway.running)

    async with open_gateway_bed() as bed:
        left = (await bed.stored(task_id))["state"]
        await bed.pass_time(600)

        assert (cut_off, left) == (1, "sending")
        assert (await bed.stored(task_id))["state"] == "in_doubt"
        assert (await bed.read(key, task_id)).json()["status"] == "pending"
        assert len(vendor.creates()) == 1


async def test_more_overdue_sends_than_one_batch_are_all_found(bed: Bed, vendor: Vendor) -> None:
    """A shard with more than a hundred of them is worked off in several rounds."""
    key = await bed.key()
    failpoints.arm({"submit.admitted": "raise"})
    for _ in range(6):
        await asyncio.gather(*(bed.create(key) for _ in range(20)))
    failpoints.arm({})
    await sends_end(bed)

    await bed.pass_time(3600)

    assert await bed.gateway.store.redis.zcard(Shard.of("acme").doubts) == 120
    assert await bed.gateway.store.redis.zcard(Shard.of("acme").sends) == 0
    assert vendor.creates() == []
