"""Fair turns: however much one team has waiting, another's first is not kept behind all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.clock import HeldClock
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.watching import sends_end
from tests.support.bed import Bed, character
from tests.support.scale import scaled
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

WAITING = scaled(1_000, share=0.04)
BUSY = 3
NEWCOMERS = 5
AT_WORK_MS = 15
RETRY_S = 10


class RunningClock(HeldClock):
    """A clock that goes on by itself: who is served later is due later."""

    def now_ms(self) -> int:
        """Return the present instant."""
        return super().now_ms() + round(time.monotonic() * 1000)


@pytest.fixture
def clock(clock: HeldClock) -> HeldClock:
    """One that runs on from the present."""
    return RunningClock(clock.now_ms() - round(time.monotonic() * 1000))


def body_of(number: int) -> dict[str, Any]:
    """Return a create that can be told from others in the vendor's journal."""
    return character("seconds:900", timestamps=f"{number},{number + 1}")


def order_at(vendor: Vendor) -> list[int]:
    """Return whose creates reached the vendor, in order; a busy team's number is below `BUSY`."""
    return [int(entry["body"]["timestamps"].split(",")[0]) for entry in vendor.creates()]


def teams(count: int, *, together: bool) -> list[str]:
    """Return names of tenants that live in one shard, or each in another."""
    found: dict[int, list[str]] = {}
    for number in range(400):
        found.setdefault(Shard.of(f"team-{number}").number, []).append(f"team-{number}")
    return found[0][:count] if together else [names[0] for names in found.values()][:count]


async def has_waiting(desk: Bed, name: str, number: int, count: int) -> str:
    """Queue tasks of a team that has no slot yet, and lift its limit; returns its key."""
    key = await desk.key(name, tasks_in_flight=0, when_full="queue")
    await asyncio.gather(*(desk.created(key, body_of(number)) for _ in range(count)))
    await desk.limit(name, tasks_in_flight=None)
    return key


@asynccontextmanager
async def working(bed: Bed) -> AsyncIterator[None]:
    """Let the engine run by itself for the time of the block."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.gateway.engine.run(stopping))
        yield
        stopping.set()


@pytest.mark.parametrize("together", [True, False], ids=["one shard", "a shard each"])
async def test_with_one_place_at_the_vendor_each_busy_team_goes_once_before_a_newcomer(
    open_gateway_bed: OpenBed, vendor: Vendor, together: bool
) -> None:
    """Three teams keep the only place taken; whoever comes meanwhile is behind one task of each."""
    names = teams(BUSY + NEWCOMERS, together=together)
    vendor.fault("delay", ms=AT_WORK_MS)
    async with open_gateway_bed() as desk, open_gateway_bed(vendor={"max_in_flight": 1}) as bed:
        for number, name in enumerate(names[:BUSY]):
            await desk.created(await has_waiting(desk, name, number, WAITING), body_of(number))
        delays = []
        async with working(bed):
            for number, name in enumerate(names[BUSY:], BUSY):
                key = await has_waiting(desk, name, number, 1)
                before = len(vendor.creates())
                await desk.created(key, body_of(number))
                await wait_until(lambda n=number: n in order_at(vendor), describing="its turn")
                delays.append(order_at(vendor).index(number) - before)
        await sends_end(bed)

    # Two may have been on their way before it was seen: one at the vendor, one having its turn.
    assert max(delays) <= BUSY + 2


@pytest.mark.parametrize("together", [True, False], ids=["one shard", "a shard each"])
async def test_when_the_vendor_takes_again_everybody_has_a_turn_first(
    open_gateway_bed: OpenBed, vendor: Vendor, together: bool
) -> None:
    """Three teams with much put back and one with a single task: it is among the first four."""
    names = teams(BUSY + 1, together=together)
    async with open_gateway_bed() as bed:
        vendor.fault("status", status=429, retry_after=1)
        for number, name in enumerate(names):
            key = await bed.key(name, when_vendor_down="queue")
            for _ in range(10 if number < BUSY else 1):
                await bed.created(key, body_of(number))
        refused = len(vendor.creates())
        vendor.heal()

        await bed.pass_time(RETRY_S)
        await sends_end(bed)

    sent = order_at(vendor)[refused:]
    assert len(sent) == 10 * BUSY + 1
    assert sorted(sent[: BUSY + 1]) == [*range(BUSY + 1)]
