"""The budget of reads in the flow: what it does not allow now is put off, and never lost."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack

from tests.conftest import OpenBed
from tests.support.bed import character
from tests.support.vendor import Vendor

TASKS = 24
PER_SECOND = 5
POLL = {
    "first_delay_s": 1,
    "min_interval_s": 60,
    "max_interval_s": 60,
    "per_second": PER_SECOND,
}


async def test_what_the_budget_refuses_is_read_later(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """In each second no more reads than are set, over three engines; in the end each was read."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed(poll=POLL)) for _ in range(3)]
        keys = [await beds[0].key(f"tenant-{n}") for n in range(6)]
        created = [
            (keys[n % 6], await beds[n % 3].created(keys[n % 6], character("seconds:1")))
            for n in range(TASKS)
        ]
        counts = [0]

        for _ in range(12):
            beds[0].clock.advance_ms(1000)
            vendor.pass_time(1)
            await asyncio.gather(*(bed.work() for bed in beds))
            counts.append(len(vendor.reads()))

        steps = [later - earlier for earlier, later in itertools.pairwise(counts)]
        assert max(steps) <= PER_SECOND
        assert sum(steps) == TASKS
        for key, task_id in created:
            assert (await beds[0].read(key, task_id)).json()["status"] == "completed"


async def test_a_budget_that_cannot_be_counted_puts_the_read_off(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A budget that was spoilt by hand costs reads, and no task: the lease brings them back."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:1"))
        redis = bed.gateway.store.redis
        vendor_key = (await bed.stored(task_id))["vendor_key"]
        await redis.set(f"rg:{{vendor}}:polls:{vendor_key}", "spoilt")

        await bed.pass_time(2)
        reads = len(vendor.reads())
        await redis.delete(f"rg:{{vendor}}:polls:{vendor_key}")
        await bed.pass_time(31)

        assert reads == 0
        assert (await bed.stored(task_id))["state"] == "completed"
