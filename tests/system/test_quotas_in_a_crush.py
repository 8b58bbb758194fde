"""The last credit, wanted by a thousand at once on three processes: one gets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from app.clock import StoreClock
from tests.support.auditor import Answered
from tests.support.bed import CHARACTER, CREATE_PATH
from tests.support.customer import Customer
from tests.support.fleet import Fleet, open_fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.scale import scaled
from tests.support.vendor import Vendor

DAY_MS = 86_400_000
AT_ONCE = 1_000
TIMES = scaled(100, share=0.05, least=5)
MANY_AT_ONCE = scaled(5_000)
MANY_TIMES = scaled(20)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(60 + MANY_AT_ONCE * MANY_TIMES // 100),
]


@dataclass
class Crush:
    """Three gateways on one store, their clocks held far from a change of day."""

    fleet: Fleet
    gateways: list[GatewayProcess]

    async def rush(self, customer: Customer, count: int) -> None:
        """Send `count` creates at once, each by a connection of its own.

        By another client than usual, whose pool does not slow down with its size.
        """
        bearer = {"authorization": f"Bearer {customer.key}"}

        async def create(http: aiohttp.ClientSession, number: int) -> None:
            url = self.gateways[number % len(self.gateways)].url + CREATE_PATH
            async with http.post(url, json=CHARACTER, headers=bearer) as answer:
                body = await answer.read()
            shown = json.loads(body)
            told, reason = str(shown.get("id", "")), str(shown.get("error", {}).get("reason", ""))
            name = f"{customer.key} {number}"
            customer.answers.append(Answered(name, answer.status, body, told, reason))

        unbounded = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=unbounded) as http:
            await asyncio.gather(*(create(http, number) for number in range(count)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crush(
    served_vendor: Vendor, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crush]:
    """Start them; afterwards everything that anybody was told must be in the books."""
    noon_ms = (StoreClock().now_ms() // DAY_MS + 1) * DAY_MS + DAY_MS // 2
    held = {
        "REELGATE_TESTING__HOLD_CLOCK_MS": str(noon_ms),
        # A busy machine must not look like a store that is away.
        "REELGATE_REDIS_TIMEOUT_S": "10",
    }
    with RedisServer() as redis:
        async with open_fleet(tmp_path_factory.mktemp("crush"), redis, served_vendor) as fleet:
            yield Crush(fleet, await fleet.start("a", "b", "c", **held))
            assert await fleet.violations() == []


@pytest.mark.parametrize("number", range(TIMES))
async def test_of_a_thousand_at_once_one_gets_the_only_credit(
    crush: Crush, vendor: Vendor, number: int
) -> None:
    """What is left buys one call; the vendor hears of one, and the day is used up to the last."""
    name = f"one-{number}"
    customer = await crush.fleet.customer(name, credits_per_day="0.1")

    await crush.rush(customer, AT_ONCE)

    figures = (await crush.fleet.books()).figures(name)
    assert customer.counted() == {(200, ""): 1, (402, "credit_exhausted"): AT_ONCE - 1}
    assert (figures["held"], figures["tasks"], len(vendor.creates())) == (100_000, 1, 1)


async def test_of_very_many_at_once_ten_get_the_ten_that_there_are(
    crush: Crush, vendor: Vendor
) -> None:
    """Again and again, by a tenant's limit and by its key's in turn."""
    for number in range(MANY_TIMES):
        name, limit = f"ten-{number}", {"credits_per_month": "1"}
        customer = await crush.fleet.customer(name, **(limit if number % 2 else {}))
        if not number % 2:
            customer = await crush.fleet.another_customer(name, **limit)

        await crush.rush(customer, MANY_AT_ONCE)

        assert customer.counted()[200, ""] == 10
        assert customer.counted()[402, "credit_exhausted"] == MANY_AT_ONCE - 10
        assert len(vendor.creates()) == 10 * (number + 1)
