"""remember.lua: a create is answered once, with the task as it stands."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.task import TaskState
from app.store.keys import Shard
from tests.store.shelf import PRICE, Shelf
from tests.support.contents import everything

KEY = "1" * 64


@pytest.mark.parametrize("idempotency", ["", KEY])
async def test_the_task_as_it_stands_becomes_the_answer(shelf: Shelf, idempotency: str) -> None:
    """A create that has to be answered now gets what a status read would show."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=idempotency)

    answer = await shelf.tasks.remember(caller, task.id, idempotency)

    stored = await shelf.tasks.find(task.id)
    assert answer == task.body
    assert stored is not None
    assert stored["answered"] == "1"


async def test_the_first_answer_stays(shelf: Shelf) -> None:
    """Asked again after the task has moved on, it says what it said first, and changes nothing."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    first = await shelf.tasks.remember(caller, task.id, KEY)
    await shelf.accept(task)
    await shelf.move(await shelf.reload(task), TaskState.COMPLETED, charged=PRICE)
    untouched = await everything(shelf.redis)

    second = await shelf.tasks.remember(caller, task.id, KEY)

    assert second == first
    assert await everything(shelf.redis) == untouched


async def test_fifty_at_once_agree_with_the_vendors_answer(shelves: list[Shelf]) -> None:
    """Whether the answer fell due before or after the vendor's yes, there is one answer."""
    shelf = shelves[0]
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)

    answers = await asyncio.gather(
        *(shelves[n % 3].tasks.remember(caller, task.id, KEY) for n in range(25)),
        shelf.accept(task),
        *(shelves[n % 3].tasks.remember(caller, task.id, KEY) for n in range(25)),
    )

    assert len(set(answers)) == 1


@pytest.mark.parametrize("is_known", [False, True])
async def test_there_is_no_answer_for_a_task_that_nobody_was_given(
    shelf: Shelf, is_known: bool
) -> None:
    """Unknown, or refused before anybody was told of it: no answer, and no trace of asking."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    await shelf.move(task, TaskState.REJECTED)
    untouched = await everything(shelf.redis)

    task_id = task.id if is_known else "task-unified-1767917446-" + "0" * 25
    answer = await shelf.tasks.remember(caller, task_id, KEY)

    assert answer is None
    assert await everything(shelf.redis) == untouched


async def test_whoever_was_answered_before_the_refusal_reads_a_failure(shelf: Shelf) -> None:
    """After its 200 the task cannot become unknown: it is shown, and its key kept for a day."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    await shelf.tasks.remember(caller, task.id, KEY)

    await shelf.move(task, TaskState.REJECTED)

    read = await shelf.reads.one(task.id, caller=caller, now_ms=shelf.clock.now_ms())
    idem = Shard.of("acme").idempotency("acme", "live", KEY)
    assert (read.body, read.finished) == (b'{"status":"rejected"}', True)
    assert await shelf.redis.pexpiretime(idem) == shelf.clock.now_ms() + 86_400_000
