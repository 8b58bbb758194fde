"""Callers who hang up at any moment: each create is wholly there, or was never begun."""

from __future__ import annotations

import asyncio
import random

from tests.support.customer import Customer
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.scale import scaled
from tests.support.wait import wait_until

ABORTS = scaled(2_000)
LONGEST_S = 0.5
VENDOR_TAKES_MS = 250


async def hang_up(customer: Customer, gateway: GatewayProcess, name: str, after_s: float) -> None:
    """Send a create and close the connection after a while, answered or not."""
    try:
        async with asyncio.timeout(after_s):
            await customer.create(gateway, name, "seconds:0")
    except TimeoutError:
        return


async def test_a_create_whose_caller_hangs_up_is_whole_or_was_never_begun(fleet: Fleet) -> None:
    """At 0 to 500 ms over a socket: as many sends as tasks, all at their end, the ledger even."""
    lots = random.Random(11)
    fleet.vendor.fault("delay", ms=VENDOR_TAKES_MS)
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer()
    names = [f"order-{n}" for n in range(ABORTS)]

    await asyncio.gather(
        *(hang_up(customer, gateway, name, lots.uniform(0, LONGEST_S)) for name in names)
    )

    async def all_have_ended() -> bool:
        return (await fleet.books()).states().keys() <= {"completed"}

    await wait_until(all_have_ended, describing="all that was begun to end", within_s=20)
    begun = (await fleet.books()).states().total()
    assert len(fleet.vendor.creates()) == begun
    assert 0 < len(customer.answers) < ABORTS
    for name in names:
        await customer.create(gateway, name, "seconds:0")
    await wait_until(all_have_ended, describing="the others to end", within_s=20)
    figures = (await fleet.books()).figures("acme")
    assert customer.acknowledged.keys() == set(names)
    assert len(fleet.vendor.creates()) == ABORTS
    assert (figures["held"], figures["settled"]) == (0, ABORTS * 100_000)
