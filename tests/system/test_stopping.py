"""Told to stop, a process finishes what it has begun, as far as there is time."""

from __future__ import annotations

import asyncio
import signal
import time

import httpx2

from app.worker import STOP_GRACE_S
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.wait import wait_until

STOP_WITHIN_S = 15.0
FORCED_WITHIN_S = 5.0


def refuses(gateway: GatewayProcess) -> bool:
    """Return whether a new connection is refused."""
    try:
        httpx2.get(gateway.url + "/healthz", trust_env=False, timeout=2)
    except httpx2.ConnectError:
        return True
    except httpx2.TransportError:
        return False  # it stood in the queue when the door was closed
    return False


async def tell(gateway: GatewayProcess, order: signal.Signals) -> None:
    """Send a signal and wait until the door is closed."""
    gateway.process.send_signal(order)
    await wait_until(lambda: refuses(gateway), describing="the door to be closed")


async def exit_code(gateway: GatewayProcess) -> int:
    """Wait for the end of a process that was told to stop."""
    return await asyncio.to_thread(gateway.process.wait, STOP_WITHIN_S)


async def test_a_stop_finishes_the_create_in_flight(fleet: Fleet) -> None:
    """SIGTERM closes the door, lets the slow create be answered, and ends with 0 in time."""
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer()
    fleet.vendor.fault("delay", ms=1500)
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(customer.create(gateway, "slow"))
        await wait_until(fleet.vendor.creates, describing="the create to reach the vendor")

        told_s = time.monotonic()
        await tell(gateway, signal.SIGTERM)
        closed_before_answer = not slow.done()

    code = await exit_code(gateway)
    assert (code, time.monotonic() - told_s < STOP_WITHIN_S) == (0, True)
    assert closed_before_answer
    assert customer.counted() == {(200, ""): 1}
    assert (await fleet.books()).states() == {"submitted": 1}
    assert await fleet.violations() == []


async def test_a_stop_answers_the_create_that_the_vendor_leaves_hanging(fleet: Fleet) -> None:
    """When the drain time is over, the caller learns the task's id; nothing is sent again."""
    (gateway,) = await fleet.start("serve", REELGATE_DRAIN_S="0.5")
    customer = await fleet.customer()
    fleet.vendor.fault("commit_then_hang")
    async with asyncio.TaskGroup() as group:
        group.create_task(customer.create(gateway, "stuck"))
        await wait_until(fleet.vendor.creates, describing="the create to reach the vendor")

        await tell(gateway, signal.SIGTERM)

    assert await exit_code(gateway) == 0
    assert customer.counted() == {(200, ""): 1}
    assert await fleet.violations() == []


async def test_a_stop_finishes_a_send_that_nobody_waits_for(fleet: Fleet) -> None:
    """A queued task that has just gone out has no caller any more, and all the time there is."""
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer(tasks_in_flight=1, when_full="queue")
    await customer.create(gateway, "first", "seconds:0")
    fleet.vendor.fault("delay", ms=4_000)
    await customer.create(gateway, "second", "seconds:900")
    await wait_until(lambda: len(fleet.vendor.creates()) == 2, describing="the dispatched create")

    await tell(gateway, signal.SIGTERM)

    assert await exit_code(gateway) == 0
    assert (await fleet.books()).states() == {"completed": 1, "submitted": 1}


async def test_a_second_interrupt_does_not_wait(fleet: Fleet) -> None:
    """Ctrl-C twice ends a process whose vendor does not answer; its task stays on the books."""
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer()
    fleet.vendor.fault("hang")
    async with asyncio.TaskGroup() as group:
        group.create_task(customer.create(gateway, "stuck"))
        await wait_until(fleet.vendor.creates, describing="the create to reach the vendor")
        await tell(gateway, signal.SIGINT)

        again_s = time.monotonic()
        gateway.process.send_signal(signal.SIGINT)
        await exit_code(gateway)

    assert time.monotonic() - again_s < FORCED_WITHIN_S
    assert (await fleet.books()).states() == {"sending": 1}
    assert await fleet.violations() == []


async def test_a_stop_does_not_wait_for_reads_that_the_vendor_leaves_hanging(fleet: Fleet) -> None:
    """Such a read loses nothing: it comes due again. The stop takes the engine's grace at most."""
    (gateway,) = await fleet.start("serve")
    customer = await fleet.customer()
    await customer.create(gateway, "read-for-ever")
    fleet.vendor.fault("hang", on="report")
    await wait_until(
        lambda: any(read["fault"] for read in fleet.vendor.reads()),
        describing="a status read that hangs",
    )

    told_s = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)

    assert await exit_code(gateway) == 0
    assert time.monotonic() - told_s < 2 * STOP_GRACE_S
    assert await fleet.violations() == []
