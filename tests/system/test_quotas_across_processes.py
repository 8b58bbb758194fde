"""Limits hold to the last create, however many processes admit at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from app.clock import StoreClock
from tests.support.fleet import Fleet, open_fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_MS = 86_400_000
LATER_MS = 30_000


@dataclass
class Held:
    """Four gateways on one store with clocks that stand still: two now, two half a minute later."""

    fleet: Fleet
    now: list[GatewayProcess]
    later: list[GatewayProcess]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def held(
    served_vendor: Vendor, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Held]:
    """Start them at tomorrow's noon: far from a change of day, ahead of Redis's own expiries."""
    noon_ms = (StoreClock().now_ms() // DAY_MS + 1) * DAY_MS + DAY_MS // 2
    folder = tmp_path_factory.mktemp("held")
    with RedisServer() as redis:
        async with open_fleet(folder, redis, served_vendor) as fleet:
            now = await fleet.start("a", "b", REELGATE_TESTING__HOLD_CLOCK_MS=str(noon_ms))
            later = await fleet.start(
                "c", "d", REELGATE_TESTING__HOLD_CLOCK_MS=str(noon_ms + LATER_MS)
            )
            yield Held(fleet, now, later)
            assert await fleet.violations() == []


async def test_two_processes_admit_exactly_the_tasks_in_flight(held: Held, vendor: Vendor) -> None:
    """Of 200 creates at once, ten find a slot; the vendor hears of no other."""
    customer = await held.fleet.customer("slots", tasks_in_flight=10)

    await customer.create_many(*held.now, count=200)

    assert customer.counted() == {(200, ""): 10, (429, "too_many_in_flight"): 190}
    assert len(vendor.creates()) == 10


async def test_two_processes_hold_exactly_the_credits_of_the_day(
    held: Held, vendor: Vendor
) -> None:
    """One credit buys ten calls at 0.1, and the day's figures say so to the microcredit."""
    customer = await held.fleet.customer("credits", credits_per_day="1")

    await customer.create_many(*held.now, count=200)

    figures = (await held.fleet.books()).figures("credits")
    assert customer.counted() == {(200, ""): 10, (402, "credit_exhausted"): 190}
    assert len(vendor.creates()) == 10
    assert (figures["held"], figures.get("settled", 0), figures["tasks"]) == (1_000_000, 0, 10)


async def test_two_processes_share_one_bucket_of_creates(held: Held, vendor: Vendor) -> None:
    """From rest exactly N creates pass; half a minute later exactly N/2 more."""
    customer = await held.fleet.customer("rate", creates_per_minute=20)

    await customer.create_many(*held.now, count=100)
    at_first = customer.counted()
    customer.answers.clear()
    await customer.create_many(*held.later, count=100)

    assert at_first == {(200, ""): 20, (429, "rate_limited"): 80}
    assert customer.counted() == {(200, ""): 10, (429, "rate_limited"): 90}
    assert len(vendor.creates()) == 30


async def test_four_processes_are_like_two(held: Held, vendor: Vendor) -> None:
    """More processes, even ones that disagree about the time, admit no more."""
    customer = await held.fleet.customer("four", tasks_in_flight=10)

    await customer.create_many(*held.now, *held.later, count=80)

    assert customer.counted() == {(200, ""): 10, (429, "too_many_in_flight"): 70}
    assert len(vendor.creates()) == 10
