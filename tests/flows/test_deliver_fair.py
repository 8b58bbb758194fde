"""Places and turns: what hangs with a backlog leaves room for all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.domain.delivery import FIRST_WIDTH
from app.store.delivery_queue import REST_MS
from tests.conftest import OpenBed
from tests.flows.delivering import hooks_of, running_engine
from tests.support.bed import Bed
from tests.support.hooks import LOOPBACK, Hooks
from tests.support.receiver import FAULTY, HANG, OK, ReceiverServer
from tests.support.wait import wait_until

ENDPOINTS, WARMING, BACKLOG = 10, 12, 40


@asynccontextmanager
async def passing_time(bed: Bed) -> AsyncIterator[None]:
    """Run the engine while the held clock goes on as time does."""

    over = asyncio.Event()

    async def tick() -> None:
        while not over.is_set():
            await asyncio.sleep(0.05)
            bed.clock.advance_ms(50)

    async with running_engine(bed), asyncio.TaskGroup() as group:
        group.create_task(tick())
        try:
            yield
        finally:
            over.set()


async def warmed(bed: Bed, receiver: ReceiverServer) -> tuple[Hooks, Hooks]:
    """Return two tenants' endpoints, each of which has taken twelve messages without a failure."""
    hooks = hooks_of(bed), hooks_of(bed, "globex")
    for each in hooks:
        for number in range(ENDPOINTS):
            await each.add(receiver.url(f"/{each.tenant_id}/{number}"))
        await each.enqueue(WARMING)
    await wait_until(
        lambda: len(receiver.accepted) >= 2 * ENDPOINTS * WARMING, describing="all to do well"
    )
    return hooks


async def test_what_did_well_before_it_hung_leaves_room_for_another_tenant(
    hooked: Bed, receiver: ReceiverServer
) -> None:
    """Twenty wide receivers of two tenants hang at once; a third tenant hears within a second."""
    for tenant_id in ("acme", "globex", "initech"):
        await hooked.key(tenant_id)
    async with passing_time(hooked):
        hanging = await warmed(hooked, receiver)
        other = hooks_of(hooked, "initech")
        await other.add(receiver.url("/quick"))
        before = len(receiver.journal)
        receiver.rule = lambda request: OK if request.path == "/quick" else HANG
        for each, at_least in zip(hanging, (60, 100), strict=True):
            await each.enqueue(BACKLOG)
            expected = before + at_least
            await wait_until(
                lambda expected=expected: len(receiver.journal) >= expected,
                describing="them to hang",
            )

        begun_s = time.monotonic()
        await other.enqueue()
        await wait_until(lambda: receiver.at("/quick"), describing="the third tenant to be told")
        took_s = receiver.at("/quick")[0].at_s - begun_s

        await receiver.end()
    print(f"told after {took_s * 1000:.0f} ms")  # noqa: T201 - the figure that is promised
    assert took_s < 10


async def test_one_that_hangs_with_a_backlog_gives_its_place_back_after_each_attempt(
    open_gateway_bed: OpenBed, receiver: ReceiverServer
) -> None:
    """It rests before its next one, so that another that fails has its turn meanwhile."""
    settings = {**LOOPBACK, "concurrency": 8, "timeout_s": 1}
    async with open_gateway_bed(webhook=settings) as bed:
        await bed.key("acme")
        hooks = hooks_of(bed)
        await hooks.add(receiver.url("/hangs"), events=["task.processing"])
        await hooks.enqueue(30, event="task.processing")
        receiver.rule = lambda request: HANG if request.path == "/hangs" else FAULTY
        async with passing_time(bed):
            # Side by side at first, as nothing is known of it; then one after the other.
            await wait_until(lambda: len(receiver.at("/hangs")) >= FIRST_WIDTH + 2, describing="it")
            began_s = [each.at_s for each in receiver.at("/hangs")][FIRST_WIDTH:]
            await hooks.add(receiver.url("/faulty"))
            await hooks.enqueue(3)
            await wait_until(
                lambda: len(receiver.at("/faulty")) == 3,
                describing="the other",
                within_s=30,
            )
            still_to_come = len(receiver.at("/hangs")) < 30
            await receiver.end()

        assert began_s[1] - began_s[0] >= 1 + 0.9 * REST_MS / 1000
        assert still_to_come


async def test_no_more_receivers_are_worked_on_than_there_are_places(
    open_gateway_bed: OpenBed, receiver: ReceiverServer
) -> None:
    """Though all shards look for some at the same time, and each sees room for all."""
    receiver.rule = lambda _: HANG
    async with open_gateway_bed(webhook={**LOOPBACK, "concurrency": 8}) as bed:
        for number in range(16):
            hooks = hooks_of(bed, f"tenant-{number}")
            await bed.key(hooks.tenant_id)
            await hooks.add(receiver.url())
            await hooks.enqueue()

        async with running_engine(bed):
            await wait_until(lambda: len(receiver.journal) >= 8, describing="all places to be held")
            await asyncio.sleep(0.2)
            assert (len(bed.gateway.delivering), len(receiver.journal)) == (8, 8)
            await receiver.end()
