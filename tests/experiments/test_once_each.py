"""Whatever moves credits or slots may be run a second time, as a bad line does: it moves once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.domain.doubt import DoubtStep
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.store.doubts import Correction
from app.store.task_steps import NewTask
from tests.store.shelf import PRICE, Shelf
from tests.support.auditor import audit, read_books

S = TaskState
QUEUEING = {"when_full": "queue", "when_vendor_down": "queue"}
Again = Callable[[], Awaitable[object]]


def offered(shelf: Shelf, new: NewTask) -> Again:
    """Return the admission of one task, to be run as often as wanted."""
    return lambda: shelf.offer(new)


async def admit_named(shelf: Shelf, caller: Caller) -> Again:
    """Admit a task under an Idempotency-Key."""
    return offered(shelf, shelf.new(caller, idempotency="a" * 64))


async def admit_unnamed(shelf: Shelf, caller: Caller) -> Again:
    """Admit a task that only its own id names."""
    return offered(shelf, shelf.new(caller))


async def admit_to_the_queue(shelf: Shelf, caller: Caller) -> Again:
    """Admit a task that has to wait."""
    await shelf.limit("acme", tasks_in_flight=0)
    return offered(shelf, shelf.new(caller, idempotency="a" * 64))


async def accept(shelf: Shelf, caller: Caller) -> Again:
    """Record the vendor's yes, at another price."""
    task = await shelf.admit(caller)
    return lambda: shelf.accept(task, held_microcredits=3 * PRICE)


async def settle(shelf: Shelf, caller: Caller) -> Again:
    """End a task, at another price again."""
    task = await shelf.submitted(caller)
    return lambda: shelf.move(task, S.COMPLETED, charged=PRICE + 1)


async def release(shelf: Shelf, caller: Caller) -> Again:
    """End a task that costs nothing."""
    task = await shelf.submitted(caller)
    return lambda: shelf.move(task, S.FAILED)


async def write_off(shelf: Shelf, caller: Caller) -> Again:
    """Give a doubt up."""
    task = await doubted(shelf, caller)
    return lambda: shelf.move(task, S.WRITTEN_OFF, charged=PRICE)


async def correct(shelf: Shelf, caller: Caller) -> Again:
    """Book late evidence."""
    task = await doubted(shelf, caller)
    await shelf.move(task, S.WRITTEN_OFF, charged=PRICE)
    correction = Correction(PRICE // 2, "late evidence")
    return lambda: shelf.doubts.correct(task, correction, now_ms=shelf.clock.now_ms())


async def free_a_slot(shelf: Shelf, caller: Caller) -> Again:
    """Take the slot of a doubt away."""
    task = await doubted(shelf, caller)
    now_ms = shelf.clock.now_ms()
    step = DoubtStep(resend=False, free_slot=True, write_off=False, next_ms=now_ms + 1)
    return lambda: shelf.doubts.note(task, step, look_in_ms=0, now_ms=now_ms)


async def dispatch(shelf: Shelf, caller: Caller) -> Again:
    """Take a task out of its queue."""
    await shelf.limit("acme", tasks_in_flight=0)
    task = await shelf.queued(caller)
    await shelf.limit("acme", tasks_in_flight=1)
    return lambda: shelf.dispatch(task, taker="engine")


async def requeue(shelf: Shelf, caller: Caller) -> Again:
    """Put a task back."""
    task = await shelf.admit(caller)
    return lambda: shelf.requeue(task)


async def call_off(shelf: Shelf, caller: Caller) -> Again:
    """Call a task off that waits."""
    await shelf.limit("acme", tasks_in_flight=0)
    task = await shelf.queued(caller)
    return lambda: shelf.move(task, S.CANCELLED)


async def doubted(shelf: Shelf, caller: Caller) -> Task:
    """Return a task in doubt."""
    task = await shelf.admit(caller)
    await shelf.move(task, S.IN_DOUBT, due_ms=1)
    return await shelf.reload(task)


@pytest.mark.parametrize(
    "prepare",
    [
        admit_named,
        admit_unnamed,
        admit_to_the_queue,
        accept,
        settle,
        release,
        write_off,
        correct,
        free_a_slot,
        dispatch,
        requeue,
        call_off,
    ],
)
async def test_a_change_that_runs_twice_moves_once(
    bare_shelf: Shelf, redis_url: str, prepare: Callable[[Shelf, Caller], Awaitable[Again]]
) -> None:
    """The second run, at once or later, leaves ledger, figures and slots as the first did."""
    caller = await bare_shelf.caller(**QUEUEING)
    run = await prepare(bare_shelf, caller)
    await run()
    before = read_books(redis_url)

    await run()
    bare_shelf.clock.advance_ms(1_000)
    await run()

    after = read_books(redis_url)
    assert (after.ledgers, after.usage, after.slots) == (before.ledgers, before.usage, before.slots)
    assert audit(after, []) == []
