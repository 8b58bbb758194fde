"""A store in trouble: no send without an admission, a clear word in time, and work again soon."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from tests.chaos.aftermath import ask_again, gateway_of_later, statuses
from tests.chaos.troubles import TROUBLES, Site, Trouble
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import Relay
from tests.support.scale import scaled
from tests.support.wait import wait_until

CYCLES = scaled(20, share=0.1, least=2)
LASTS_S = 1.0
PER_SECOND = 50
DEADLINE_S = "0.5"
TOLD_WITHIN_S = 1.0
RECOVERED_WITHIN_S = 5.0

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(60 + 10 * CYCLES)]


@dataclass(frozen=True)
class Seen:
    """One answer: to what, which, and after how long."""

    name: str
    status: int
    reason: str
    took_s: float


@dataclass
class Load:
    """Named creates and reads of one known task, half and half, at a steady rate."""

    fleet: Fleet
    gateway: GatewayProcess
    customer: Customer
    known: str
    count: int = 0

    async def run(self, lasts_s: float) -> list[Seen]:
        """Ask for so long, whether or not answers come, and wait for every answer."""
        began_s = time.monotonic()
        asked: list[asyncio.Task[Seen]] = []
        async with asyncio.TaskGroup() as group:
            while time.monotonic() - began_s < lasts_s:
                self.count += 1
                ask = self._create() if self.count % 2 else self._read()
                asked.append(group.create_task(ask))
                await asyncio.sleep(1 / PER_SECOND)
        return [each.result() for each in asked]

    async def _create(self) -> Seen:
        began_s, name = time.monotonic(), f"order-{self.count}"
        answer = await self.customer.create(self.gateway, name, "seconds:0")
        took_s = time.monotonic() - began_s
        assert answer is not None, "the gateway is gone"
        return Seen("create", answer.status, answer.reason, took_s)

    async def _read(self) -> Seen:
        began_s = time.monotonic()
        answer = await self.customer.read(self.gateway, self.known)
        took_s = time.monotonic() - began_s
        return Seen("read", answer.status_code, "", took_s)


async def has_acknowledged(gateway: GatewayProcess, customer: Customer) -> str:
    """Return the id of a task that was just created, or "" where none was."""
    answer = await customer.create(gateway, scenario="seconds:0")
    return answer.task_id if answer is not None and answer.status == 200 else ""


def p99_s(seen: list[Seen]) -> float:
    """Return the time within which 99 of 100 were answered."""
    return sorted(each.took_s for each in seen)[max(0, len(seen) * 99 // 100 - 1)]


async def seen_through(trouble: Trouble, site: Site, load: Load) -> list[Seen]:
    """Ask while the trouble lasts, and see that nothing is sent, and that it is got over in time.

    Returns what was answered meanwhile.
    """
    vendor_heard = len(load.fleet.vendor.creates())
    assert await load.customer.status(load.gateway, load.known) in ("pending", "completed")
    async with trouble(site):
        seen = await load.run(LASTS_S)
        assert len(load.fleet.vendor.creates()) == vendor_heard
    await wait_until(
        lambda: has_acknowledged(load.gateway, load.customer),
        describing="creates to work again",
        within_s=RECOVERED_WITHIN_S,
    )
    return seen


@pytest.mark.parametrize("where", TROUBLES)
async def test_a_store_in_trouble_is_told_of_in_time_and_got_over(fleet: Fleet, where: str) -> None:
    """Each kind, for a second at 50 requests a second: 503, no send, reads from memory, work."""
    async with Relay(fleet.redis) as relay:
        (gateway,) = await fleet.start(
            "serve",
            REELGATE_REDIS_URL=f"redis://127.0.0.1:{relay.port}",
            REELGATE_REDIS_TIMEOUT_S=DEADLINE_S,
        )
        customer = await fleet.customer()
        known = await wait_until(
            lambda: has_acknowledged(gateway, customer), describing="a create to be taken"
        )
        load, site = Load(fleet, gateway, customer, known), Site(fleet.redis, relay)
        seen: dict[str, list[Seen]] = {name: [] for name in TROUBLES[where]}
        for _ in range(CYCLES):
            for name, trouble in TROUBLES[where].items():
                seen[name] += await seen_through(trouble, site, load)

        for name, answers in seen.items():
            creates = [each for each in answers if each.name == "create"]
            told = {(each.status, each.reason) for each in creates}
            assert told == {(503, "store_unavailable")}, name
            assert {each.status for each in answers if each.name == "read"} == {200}, name
            assert p99_s(creates) <= TOLD_WITHIN_S, name

        assert gateway.process.poll() is None
        later = await gateway_of_later(fleet)
        await ask_again([customer], later)
        assert await statuses([customer], later) <= {"completed", "pending"}
        await fleet.stop()
    assert await fleet.violations() == []
