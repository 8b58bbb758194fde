"""What tests of deliveries have in common: a gateway that may reach a receiver, and its engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.bed import Bed
from tests.support.hooks import Hooks
from tests.support.wait import wait_until


def hooks_of(bed: Bed, tenant_id: str = "acme") -> Hooks:
    """Return the endpoints of a tenant, which must exist."""
    store = bed.gateway.store
    return Hooks(store.redis, store.webhooks, store.deliveries, bed.clock, tenant_id)


async def deliver(bed: Bed, *, within_s: float = 20) -> None:
    """Let the engine deliver all that is due now."""
    while True:
        await bed.work()
        await wait_until(
            lambda: not len(bed.gateway.delivering),
            describing="deliveries to end",
            within_s=within_s,
        )
        due = await bed.gateway.engine.schedules.peek()
        if not any(entry.at_ms <= bed.clock.now_ms() for entry in due):
            return


async def deliver_after(bed: Bed, seconds: float) -> None:
    """Move the clock, then let the engine deliver all that is due."""
    bed.clock.advance_ms(int(seconds * 1000))
    await deliver(bed)


@asynccontextmanager
async def running_engine(bed: Bed) -> AsyncIterator[None]:
    """Run the engine by itself for the time of the block, as a process does."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.gateway.engine.run(stopping))
        try:
            yield
        finally:
            stopping.set()


async def next_delivery_ms(bed: Bed) -> int | None:
    """Return when the next delivery of any tenant is due; None if nothing is to come."""
    due = await bed.gateway.engine.schedules.peek()
    return min((entry.at_ms for entry in due if entry.name == "deliveries"), default=None)


async def until_nothing_is_to_come(bed: Bed) -> None:
    """Move the clock from one delivery to the next until there is none."""
    await deliver(bed)
    while (at_ms := await next_delivery_ms(bed)) is not None:
        # A second more: deliveries that lie close together are made in one go.
        await deliver_after(bed, (at_ms - bed.clock.now_ms()) / 1000 + 1)
