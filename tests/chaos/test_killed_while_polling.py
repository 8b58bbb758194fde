"""An engine that dies while it reads a task's status: another one finishes, and charges once."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.fleet import Fleet
from tests.support.wait import wait_until

pytestmark = pytest.mark.chaos

TRIALS = 5


async def all_completed(fleet: Fleet) -> bool:
    """Return whether every task has ended well."""
    return (await fleet.books()).states().keys() == {"completed"}


@pytest.mark.parametrize("point", ["poll.claimed", "poll.sent", "poll.reported", "poll.advanced"])
async def test_a_kill_at_any_point_of_a_poll_costs_nothing(fleet: Fleet, point: str) -> None:
    """Five engines claim a task each and die; a sixth brings all of them to their end, once."""
    pace = {"REELGATE_POLL__CONCURRENCY": "1", "REELGATE_POLL__LEASE_S": "1"}
    (api,), victims = await asyncio.gather(
        fleet.start("api", options=("--role", "api")),
        fleet.start(
            *(f"victim-{n}" for n in range(TRIALS)),
            options=("--role", "engine"),
            REELGATE_TESTING__FAILPOINTS=f"{point}=kill",
            **pace,
        ),
    )
    customer = await fleet.customer()
    for n in range(2 * TRIALS):
        await customer.create(api, f"order-{n}", "seconds:0")
    for victim in victims:
        await asyncio.to_thread(victim.wait_for_death)

    await fleet.start("engine", options=("--role", "engine"), **pace)
    await wait_until(lambda: all_completed(fleet), describing="every task to end", within_s=20)

    statuses = {await customer.status(api, answer.task_id) for answer in customer.answers}
    figures = (await fleet.books()).figures("acme")
    assert statuses == {"completed"}
    assert (figures["held"], figures["settled"]) == (0, 2 * TRIALS * 100_000)
    assert len(fleet.vendor.creates()) == 2 * TRIALS
    assert await fleet.violations() == []
