"""Several processes at one queue: each task goes out once, and never more than have slots."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from app.domain.task import TaskState
from app.domain.tenant import Caller
from app.store.keys import Shard
from tests.store.shelf import Shelf

QUEUEING = {"when_full": "queue", "when_vendor_down": "queue"}


async def slots_taken(shelf: Shelf, caller: Caller, family: str = "") -> int:
    """Return how many slots of a tenant, or of one key, are taken."""
    return int(await shelf.redis.scard(Shard.of(caller.tenant_id).slots("acme", "live", family)))


async def waiting_tasks(shelf: Shelf, caller: Caller, count: int, *, slots: int) -> list[str]:
    """Fill a tenant's queue and then give it slots; returns who waits, first to last."""
    await shelf.limit("acme", tasks_in_flight=0)
    ids = [(await shelf.queued(caller)).id for _ in range(count)]
    await shelf.limit("acme", tasks_in_flight=slots)
    return ids


async def take(shelf: Shelf, task_id: str) -> str:
    """Take a task as an engine does: look at it, then dispatch what was seen."""
    (task,) = await shelf.tasks.load(Shard.of("acme"), [task_id])
    return await shelf.dispatch(task) if task.state is TaskState.QUEUED else "gone"


async def test_three_processes_take_each_task_once(shelf: Shelf, shelves: list[Shelf]) -> None:
    """Whoever looks at the same head: one has it, the others have nothing."""
    caller = await shelf.caller(**QUEUEING)
    ids = await waiting_tasks(shelf, caller, 20, slots=99)

    outcomes = await asyncio.gather(*(take(each, task_id) for task_id in ids for each in shelves))

    assert Counter(outcomes) == {"dispatched": 20, "gone": 40}
    assert await slots_taken(shelf, caller) == 20


@pytest.mark.parametrize("whose", ["tenant", "key"])
async def test_no_race_takes_more_slots_than_there_are(
    shelf: Shelf, shelves: list[Shelf], whose: str
) -> None:
    """Creates and dispatches of three processes share seven slots, whoever comes first."""
    first = await shelf.caller(**QUEUEING)
    caller = await shelf.colleague(first, **({"tasks_in_flight": 7} if whose == "key" else {}))
    ids = await waiting_tasks(shelf, caller, 30, slots=7 if whose == "tenant" else 99)
    creates = [shelf.new(caller) for _ in range(30)]

    outcomes = await asyncio.gather(
        *(take(shelves[n % 3], task_id) for n, task_id in enumerate(ids)),
        *(shelves[n % 3].offer(new) for n, new in enumerate(creates)),
    )

    assert Counter(outcomes) == {"dispatched": 7, f"{whose}_full": 23, "queued": 30}
    assert await slots_taken(shelf, caller, caller.key_id if whose == "key" else "") == 7


async def test_a_cancel_and_a_dispatch_cannot_both_win(shelf: Shelf, shelves: list[Shelf]) -> None:
    """Either it was called off and is never sent, or it is sent and cannot be called off."""
    caller = await shelf.caller(**QUEUEING)
    ids = await waiting_tasks(shelf, caller, 40, slots=99)
    tasks = await shelf.tasks.load(Shard.of("acme"), ids)

    dispatched = asyncio.gather(*(shelves[1].dispatch(task) for task in tasks))
    cancelled = asyncio.gather(*(shelves[2].move(task, TaskState.CANCELLED) for task in tasks))

    won = zip(await dispatched, await cancelled, strict=True)
    assert all((sent == "dispatched") != off for sent, off in won)


async def test_whatever_processes_do_at_once_the_line_keeps_its_order(
    shelf: Shelf, shelves: list[Shelf]
) -> None:
    """Taken, put back and called off at random by three: slots are kept, and so is every place."""
    lots = random.Random(20)
    caller = await shelf.caller(**QUEUEING)
    ids = await waiting_tasks(shelf, caller, 30, slots=4)
    most = 0

    async def act_on(worker: Shelf) -> None:
        nonlocal most
        for _ in range(60):
            (task,) = await worker.tasks.load(Shard.of("acme"), [lots.choice(ids)])
            if task.state is TaskState.SENDING:
                await worker.requeue(task, wait_ms=0)
            elif task.state is TaskState.QUEUED and lots.random() < 0.05:
                await worker.move(task, TaskState.CANCELLED)
            elif task.state is TaskState.QUEUED:
                await worker.dispatch(task)
            most = max(most, await slots_taken(worker, caller))

    await asyncio.gather(*(act_on(worker) for worker in shelves for _ in range(2)))

    line = await shelf.line(caller)
    assert most == 4
    assert line == [task_id for task_id in ids if task_id in line]
