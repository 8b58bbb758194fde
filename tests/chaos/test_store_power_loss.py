"""Power goes, or memory runs out, amid creates: what was confirmed is there, and whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.aftermath import ask_again, gateway_of_later, statuses
from tests.chaos.troubles import Console
from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer, Relay
from tests.support.scale import scaled
from tests.support.wait import wait_until

CUTS = scaled(200, share=0.1)
CLIENTS = 6
UNCONFIRMED_S = 0.03
HELD_BACK_S = 1.0
ROOM_BYTES = 200_000
RECOVERED_WITHIN_S = 5.0

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(60 + CUTS)]


@asynccontextmanager
async def customers_at_work(fleet: Fleet, gateway: GatewayProcess) -> AsyncIterator[list[Customer]]:
    """Let some customers create one named task after the other while the block lasts."""
    customers = [await fleet.customer(f"tenant-{number}") for number in range(CLIENTS)]
    done = asyncio.Event()

    async def work(customer: Customer, number: int) -> None:
        count = 0
        while not done.is_set():
            count += 1
            await customer.create(gateway, f"order-{number}-{count}", "seconds:0")

    async with asyncio.TaskGroup() as group:
        for number, customer in enumerate(customers):
            group.create_task(work(customer, number))
        try:
            yield customers
        finally:
            done.set()


async def more_are_acknowledged(fleet: Fleet, least: int) -> None:
    """Wait until `least` more creates have been answered with 200."""
    before = sum(len(customer.acknowledged) for customer in fleet.customers)
    await wait_until(
        lambda: sum(len(each.acknowledged) for each in fleet.customers) >= before + least,
        describing=f"{least} more creates to be acknowledged",
        within_s=RECOVERED_WITHIN_S,
    )


async def cut_power(server: RedisServer, relay: Relay, chance: random.Random) -> int:
    """Kill the server with writes that nobody was told of, and cut the log off among those.

    Returns how many bytes were lost.
    """
    [log] = (server.folder / "appendonlydir").glob("*.incr.aof")
    relay.reply_delay_s = lambda: HELD_BACK_S
    # Replies that were passed on were written before; from here on none is.
    confirmed_bytes = log.stat().st_size
    await asyncio.sleep(chance.uniform(0, UNCONFIRMED_S))
    server.kill()
    relay.reset()
    relay.reply_delay_s = lambda: 0.0
    whole_bytes = log.stat().st_size
    kept_bytes = chance.randint(confirmed_bytes, whole_bytes)
    with log.open("r+b") as file:
        file.truncate(kept_bytes)
    await asyncio.to_thread(server.restart)
    return whole_bytes - kept_bytes


async def test_power_cuts_forget_nothing_that_was_confirmed(fleet: Fleet) -> None:
    """Twenty or more amid creates, each with a random part of the unconfirmed tail lost."""
    chance = random.Random(2)
    async with Relay(fleet.redis) as relay:
        (gateway,) = await fleet.start(
            "serve", REELGATE_REDIS_URL=f"unix://{relay.socket_path}", REELGATE_REDIS_TIMEOUT_S="2"
        )
        lost_bytes = []
        async with customers_at_work(fleet, gateway) as customers:
            for _ in range(CUTS):
                await more_are_acknowledged(fleet, 5)
                lost_bytes.append(await cut_power(fleet.redis, relay, chance))
            await more_are_acknowledged(fleet, 5)

        later = await gateway_of_later(fleet)
        await ask_again(customers, later)
        assert await statuses(customers, later) <= {"completed", "pending"}
        await fleet.stop()
    assert await fleet.violations() == []
    assert sum(lost > 0 for lost in lost_bytes) >= CUTS // 4, "hardly anything was ever lost"


async def test_a_store_filled_to_its_limit_loses_nothing_and_writes_no_half(fleet: Fleet) -> None:
    """Creates are refused when memory is full, nothing is evicted, and room makes them work."""
    (gateway,) = await fleet.start("serve")
    console = Console(fleet.redis)
    used = console.call("INFO", "memory").decode().partition("used_memory:")[2]
    async with customers_at_work(fleet, gateway) as customers:
        await more_are_acknowledged(fleet, 5)
        console.call("CONFIG", "SET", "maxmemory", int(used.split()[0]) + ROOM_BYTES)
        await wait_until(
            lambda: sum(answer.status == 503 for answer in fleet.answers()) > 50,
            describing="memory to be full",
            within_s=20,
        )
        console.call("CONFIG", "SET", "maxmemory", 0)
        await more_are_acknowledged(fleet, 5)

    evicted = console.call("INFO", "stats").decode().partition("evicted_keys:")[2].split()[0]
    console.close()
    later = await gateway_of_later(fleet)
    await ask_again(customers, later)
    assert await statuses(customers, later) <= {"completed", "pending"}
    await fleet.stop()
    refused = {answer.reason for answer in fleet.answers() if answer.status == 503}
    assert (evicted, refused) == ("0", {"store_unavailable"})
    assert await fleet.violations() == []
