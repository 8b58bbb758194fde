"""Limits hold to the last call, however many processes admit at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from app.clock import StoreClock
from app.domain.ids import Mode
from tests.support.customer import Customer
from tests.support.fleet import Fleet, open_fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_MS = 86_400_000
LATER_MS = 30_000

EACH_SCOPE = pytest.mark.parametrize("scope", ["tenant", "key"])
"""Every limit can stand on a tenant and on one of its keys."""


@dataclass
class Held:
    """Four gateways on one store with clocks that stand still: two now, two half a minute later."""

    fleet: Fleet
    now: list[GatewayProcess]
    later: list[GatewayProcess]

    async def customer(
        self, name: str, scope: str, *, mode: Mode = "live", **limits: Any
    ) -> Customer:
        """Return a caller that is limited by its tenant, or by its key alone."""
        if scope == "tenant":
            return await self.fleet.customer(f"{name}-tenant", mode=mode, **limits)
        await self.fleet.customer(f"{name}-key", mode=mode)
        return await self.fleet.another_customer(f"{name}-key", mode=mode, **limits)

    async def figures(self, name: str, scope: str) -> dict[str, int]:
        """Return the figures of the day of a caller's tenant."""
        return (await self.fleet.books()).figures(f"{name}-{scope}")


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


@EACH_SCOPE
async def test_two_processes_admit_exactly_the_tasks_in_flight(
    held: Held, vendor: Vendor, scope: str
) -> None:
    """Of 200 creates at once, ten find a slot; the vendor hears of no other."""
    customer = await held.customer("slots", scope, tasks_in_flight=10)

    await customer.create_many(*held.now, count=200)

    assert customer.counted() == {(200, ""): 10, (429, "too_many_in_flight"): 190}
    assert len(vendor.creates()) == 10


@EACH_SCOPE
@pytest.mark.parametrize(
    "limits",
    [
        {"credits_per_day": "1"},
        {"credits_per_month": "1"},
        {"credits_per_day": "1.05", "credits_per_month": "500"},
        {"credits_per_day": "500", "credits_per_month": "1.099999"},
    ],
    ids=["day", "month", "day within a month", "month below a day"],
)
async def test_two_processes_hold_exactly_the_credits_there_are(
    held: Held, vendor: Vendor, scope: str, limits: dict[str, str]
) -> None:
    """One credit buys ten calls at 0.1, and the day's figures say so to the microcredit."""
    name = "-".join(["credits", *(name[-3:] for name in limits), str(len(held.fleet.customers))])
    customer = await held.customer(name, scope, **limits)

    await customer.create_many(*held.now, count=100)

    figures = await held.figures(name, scope)
    assert customer.counted() == {(200, ""): 10, (402, "credit_exhausted"): 90}
    assert len(vendor.creates()) == 10
    assert (figures["held"], figures.get("settled", 0), figures["tasks"]) == (1_000_000, 0, 10)


@EACH_SCOPE
async def test_two_processes_share_one_bucket_of_creates(
    held: Held, vendor: Vendor, scope: str
) -> None:
    """From rest exactly N creates pass; half a minute later exactly N/2 more."""
    customer = await held.customer("rate", scope, creates_per_minute=20)

    await customer.create_many(*held.now, count=100)
    at_first = customer.counted()
    customer.answers.clear()
    await customer.create_many(*held.later, count=100)

    assert at_first == {(200, ""): 20, (429, "rate_limited"): 80}
    assert customer.counted() == {(200, ""): 10, (429, "rate_limited"): 90}
    assert len(vendor.creates()) == 30


@EACH_SCOPE
async def test_two_processes_know_the_models_that_may_be_used(
    held: Held, vendor: Vendor, scope: str
) -> None:
    """The list that is changed meanwhile counts for the next create on each of them."""
    allowed = await held.customer("may", scope, models=["sora-character", "sora-2"])
    refused = await held.customer("may-not", scope, models=["sora-2"])

    await asyncio.gather(*(each.create_many(*held.now, count=20) for each in (allowed, refused)))

    assert allowed.counted() == {(200, ""): 20}
    assert refused.counted() == {(403, "model_not_allowed"): 20}
    assert len(vendor.creates()) == 20


@EACH_SCOPE
async def test_all_limits_together_are_as_strict_as_the_strictest(
    held: Held, vendor: Vendor, scope: str
) -> None:
    """And who is refused by one of them takes nothing from the others."""
    customer = await held.customer(
        "all", scope, creates_per_minute=50, tasks_in_flight=9, credits_per_day="0.8"
    )

    await customer.create_many(*held.now, count=100)

    figures = await held.figures("all", scope)
    assert customer.counted() == {(200, ""): 8, (402, "credit_exhausted"): 92}
    assert (figures["held"], figures["tasks"], len(vendor.creates())) == (800_000, 8, 8)


async def test_two_keys_of_a_tenant_share_its_limit(held: Held, vendor: Vendor) -> None:
    """Each with more of its own than there is; on different processes."""
    await held.fleet.customer("shared", tasks_in_flight=10)
    pair = [await held.fleet.another_customer("shared", tasks_in_flight=8) for _ in range(2)]

    await asyncio.gather(
        *(each.create_many(gateway, count=50) for each, gateway in zip(pair, held.now, strict=True))
    )

    passed = [each.counted()[200, ""] for each in pair]
    assert sum(passed) == len(vendor.creates()) == 10
    assert max(passed) <= 8


@EACH_SCOPE
async def test_a_test_key_is_held_to_the_same_limits(
    held: Held, vendor: Vendor, scope: str
) -> None:
    """It talks to the built-in sandbox, pays nothing, and is otherwise identical."""
    customer = await held.customer(
        "test", scope, mode="test", tasks_in_flight=10, credits_per_day="0"
    )

    await customer.create_many(*held.now, count=60, scenario="seconds:600")

    assert customer.counted() == {(200, ""): 10, (429, "too_many_in_flight"): 50}
    assert vendor.creates() == []


async def test_four_processes_are_like_two(held: Held, vendor: Vendor) -> None:
    """More processes, even ones that disagree about the time, admit no more."""
    customer = await held.fleet.customer("four", tasks_in_flight=10)

    await customer.create_many(*held.now, *held.later, count=80)

    assert customer.counted() == {(200, ""): 10, (429, "too_many_in_flight"): 70}
    assert len(vendor.creates()) == 10


@EACH_SCOPE
async def test_two_processes_answer_exactly_the_reads_there_are(held: Held, scope: str) -> None:
    """Twenty a second: each process takes one at a time, so that none goes unused."""
    customer = await held.customer("reads", scope, reads_per_second=20)

    at_first = await customer.read_many(*held.now, count=100)
    later = await customer.read_many(*held.later, count=100)

    assert at_first == later == {200: 20, 429: 80}


@EACH_SCOPE
@pytest.mark.parametrize(("per_second", "share"), [(100, 5), (47, 2)])
async def test_at_most_a_share_a_process_goes_unused(
    held: Held, scope: str, per_second: int, share: int
) -> None:
    """Of more than forty a second, several are taken at once; never more than there are."""
    customer = await held.customer(f"many-{per_second}", scope, reads_per_second=per_second)

    # The first process is asked less often than it could answer with what it took.
    early = await customer.read_many(held.now[0], count=1)
    counted = early + await customer.read_many(held.now[1], count=per_second + 50)

    assert per_second - 2 * share <= counted[200] <= per_second
