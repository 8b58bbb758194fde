"""Processes that die while their tasks hold slots: none leaks, none is given twice."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support.fleet import Fleet
from tests.support.scale import scaled
from tests.support.wait import wait_until

VICTIMS = 5
ROUNDS = scaled(500) // VICTIMS
SLOTS = 12
LEASE_S = 5
BACK_WITHIN_S = 30
"""After the death, as a user notices it: the lease of who died, and some reads."""

RUN_MS = 1_500

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(60 + 20 * ROUNDS)]


def most_at_once(creates: list[dict[str, Any]]) -> int:
    """Return how many tasks the vendor was working on at the same time at the most."""
    began = [(entry["at_ms"], 1) for entry in creates if entry["created_task_id"]]
    ended = [(at_ms + RUN_MS, -1) for at_ms, _ in began]
    running = most = 0
    for _, change in sorted(began + ended):
        running += change
        most = max(most, running)
    return most


async def all_are_free(fleet: Fleet) -> bool:
    """Say whether nobody holds a slot."""
    return not any((await fleet.books()).slots.values())


async def test_slots_of_killed_processes_come_back_in_time_and_never_twice(fleet: Fleet) -> None:
    """Five die at once, four times over: the one that lives on follows what the vendor has."""
    pace = {"REELGATE_POLL__LEASE_S": str(LEASE_S), "REELGATE_POLL__MAX_INTERVAL_S": "1"}
    (survivor,) = await fleet.start("survivor", **pace)
    customer = await fleet.customer(tasks_in_flight=SLOTS)
    for number in range(ROUNDS):
        victims = await fleet.start(*(f"victim-{n}" for n in range(VICTIMS)), **pace)
        for _ in range(2):
            await customer.create_many(
                *victims, count=2 * SLOTS, scenario=f"seconds:{RUN_MS / 1000}"
            )
        for victim in victims:
            victim.kill()
        assert not await all_are_free(fleet)

        await wait_until(
            partial(all_are_free, fleet),
            describing="all slots to be free",
            within_s=BACK_WITHIN_S,
        )

        answer = await customer.create(survivor, f"after-{number}", "seconds:0")
        assert answer is not None
        assert answer.status == 200

    assert customer.counted()[429, "too_many_in_flight"] > 0
    assert most_at_once(fleet.vendor.creates()) <= SLOTS
    assert await fleet.violations() == []
