"""Figures and ledgers are never read at one moment; no change in between may look like a leak."""

from __future__ import annotations

import asyncio

from app.domain.task import TaskState
from app.domain.tenant import Caller
from app.store.drift import Drift, DriftReads
from app.store.keys import Shard, windows
from tests.store.shelf import PRICE, Shelf

STEPS = 40
LEAK = 1_000 * PRICE
"""More than all that is open in these tests at any moment: it cannot be mistaken for a change."""


async def live(shelf: Shelf, caller: Caller) -> None:
    """Let tasks be admitted, be given another price, and end, one after the other."""
    for number in range(STEPS):
        task = await shelf.admit(caller)
        await shelf.accept(task, held_microcredits=PRICE + number)
        (taken,) = await shelf.tasks.load(Shard.of(caller.tenant_id), [task.id])
        await shelf.move(taken, TaskState.COMPLETED if number % 2 else TaskState.FAILED)


async def reckoned_amid(shelf: Shelf) -> list[list[Drift]]:
    """Reckon time and again while five callers of a tenant let tasks come and go."""
    caller, reads = await shelf.caller(), DriftReads(shelf.redis)
    for _ in range(30):
        await shelf.admit(caller)
    found = []
    async with asyncio.TaskGroup() as group:
        lives = [
            group.create_task(live(shelf, await shelf.colleague(caller) if number else caller))
            for number in range(5)
        ]
        while not all(each.done() for each in lives):
            found.append(await reads.everywhere(now_ms=shelf.clock.now_ms()))
    found.append(await reads.everywhere(now_ms=shelf.clock.now_ms()))
    return found


async def test_what_comes_and_goes_is_no_drift(shelf: Shelf) -> None:
    """Admitted, given another price, ended between two reads: what can be explained is in order."""
    found = await reckoned_amid(shelf)

    assert len(found) > 5
    assert not any(found)


async def test_a_leak_is_found_amid_changes(shelf: Shelf) -> None:
    """What no order of the steps explains is seen at any time."""
    figures = Shard.of("acme").usage("acme", "live", windows(shelf.clock.now_ms())[1])
    await shelf.redis.hincrby(figures, "held", LEAK)

    found = await reckoned_amid(shelf)

    await shelf.redis.hincrby(figures, "held", -LEAK)
    assert all(
        [(each.window, each.family) for each in drifts] == [(figures.rpartition(":")[2], "")]
        for drifts in found
    )
    assert found[-1][0].amount == LEAK
