"""A process that dies while tasks wait, go out, come back or are in doubt: each is sent as due."""

from __future__ import annotations

import asyncio

import pytest

from app.clock import StoreClock
from tests.chaos.aftermath import LATER_MS, gateway_of_later
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.tenant_keys import limit
from tests.support.wait import wait_until

pytestmark = pytest.mark.chaos

TRIALS = 5
NAMES = [f"order-{n}" for n in range(TRIALS)]
CLOSED = {"tasks_in_flight": 0, "when_full": "queue"}
TRUSTING = {"REELGATE_VENDOR__TRUST_IDEMPOTENCY": "true"}


def armed(point: str) -> dict[str, str]:
    """Return what makes a process die at a point."""
    return {"REELGATE_TESTING__FAILPOINTS": f"{point}=kill"}


async def admit_of_queue(fleet: Fleet, most: int | None) -> None:
    """Let the tenant have so many tasks under way."""
    at_ms = fleet.store.clock.now_ms()
    await limit(fleet.store.tenants, "acme", at_ms=at_ms, tasks_in_flight=most)


async def all_come_to(fleet: Fleet, state: str) -> None:
    """Wait until every task is in a state."""

    async def they_have() -> bool:
        return (await fleet.books()).states() == {state: TRIALS}

    await wait_until(they_have, describing=f"all to be {state}", within_s=25)


async def front_of_later(fleet: Fleet) -> GatewayProcess:
    """Start a gateway without an engine, five minutes on: past the lease of what was cut off."""
    at_ms = StoreClock().now_ms() + LATER_MS
    (front,) = await fleet.start(
        "front", options=("--role", "api"), REELGATE_TESTING__HOLD_CLOCK_MS=str(at_ms)
    )
    return front


async def test_what_was_queued_is_sent_though_nobody_was_told(fleet: Fleet) -> None:
    """The process dies before its answer; the caller repeats the create and finds it waiting."""
    customer = await fleet.customer(**CLOSED)
    victims = await fleet.start(*(f"victim-{n}" for n in range(TRIALS)), **armed("submit.queued"))
    for victim, name in zip(victims, NAMES, strict=True):
        assert await customer.create(victim, name, "seconds:0") is None
        victim.wait_for_death()

    front = await front_of_later(fleet)
    answers = [await customer.create(front, name, "seconds:0") for name in NAMES]
    await admit_of_queue(fleet, None)
    await fleet.start("survivor")

    assert [answer.status for answer in answers if answer] == [200] * TRIALS
    await all_come_to(fleet, "completed")
    assert len(fleet.vendor.creates()) == TRIALS


async def test_what_was_taken_out_of_the_queue_is_a_doubt(fleet: Fleet) -> None:
    """Five engines die one after the other with the next task in hand: none of them is sent."""
    (front, *victims) = await asyncio.gather(
        fleet.start("front", options=("--role", "api")),
        *(fleet.start(f"victim-{n}", **armed("dispatch.taken")) for n in range(TRIALS)),
    )
    customer = await fleet.customer(**CLOSED)
    for name in NAMES:
        await customer.create(front[0], name, "seconds:0")

    await admit_of_queue(fleet, None)
    await wait_until(
        lambda: all(each.process.poll() is not None for (each,) in victims),
        describing="every engine to die",
        within_s=25,
    )
    await gateway_of_later(fleet)

    await all_come_to(fleet, "in_doubt")
    assert fleet.vendor.creates() == []
    shown = {await customer.status(front[0], id_) for id_ in customer.acknowledged.values()}
    assert shown == {"pending"}


async def test_what_was_put_back_is_sent_by_others(fleet: Fleet) -> None:
    """The vendor takes no more, the task is back in its queue, and the process dies."""
    customers = [await fleet.customer(f"team-{n}", when_vendor_down="queue") for n in range(TRIALS)]
    victims = await fleet.start(*(f"victim-{n}" for n in range(TRIALS)), **armed("submit.requeued"))
    fleet.vendor.fault("status", times=TRIALS, status=429, retry_after=1)
    for victim, customer in zip(victims, customers, strict=True):
        assert await customer.create(victim, "one", "seconds:0") is None
        victim.wait_for_death()

    front = await front_of_later(fleet)
    answers = [await customer.create(front, "one", "seconds:0") for customer in customers]
    await fleet.start("survivor")

    assert [answer.status for answer in answers if answer] == [200] * TRIALS
    await all_come_to(fleet, "completed")
    assert len(fleet.vendor.creates()) == 2 * TRIALS


async def test_a_resend_that_was_noted_and_not_made_is_made_up_for(fleet: Fleet) -> None:
    """An engine dies between the note and the send: the next resend is still to come."""
    front, victim = await asyncio.gather(
        fleet.start("front", options=("--role", "api")),
        fleet.start("victim", **TRUSTING, **armed("doubt.noted")),
    )
    customer = await fleet.customer()
    fleet.vendor.fault("reset", times=TRIALS)
    for name in NAMES:
        await customer.create(front[0], name, "seconds:0")
    heard = len(fleet.vendor.creates())

    await wait_until(
        lambda: victim[0].process.poll() is not None, describing="the engine to die", within_s=15
    )
    later = {"REELGATE_TESTING__HOLD_CLOCK_MS": str(StoreClock().now_ms() + LATER_MS)}
    await fleet.start("resender", **TRUSTING, **later)
    await all_come_to(fleet, "submitted")
    await gateway_of_later(fleet, "last", times=2)

    await all_come_to(fleet, "completed")
    assert heard == TRIALS
    made = [entry["created_task_id"] for entry in fleet.vendor.creates()]
    assert len(set(made) - {None}) == TRIALS
