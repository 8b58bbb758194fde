"""What is recorded of a task outlives it: nothing expires while it is open, or a day after."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from app.domain.task import FINAL, Task, TaskState
from app.store.keys import Shard
from app.store.task_steps import Replayed
from tests.store.shelf import Shelf

TASKS = 1_000
TENANTS = 20
AT_ONCE = 50
DAY_MS = 86_400_000
LONGEST_PAUSE_DAYS = 60
WHILE_OPEN = -1

Step = Callable[[Shelf, Task], Awaitable[object]]


def to(state: TaskState) -> Step:
    """Return the step into a state by `advance.lua`."""

    async def step(shelf: Shelf, task: Task) -> None:
        due_ms = shelf.clock.now_ms() + DAY_MS
        assert await shelf.move(task, state, due_ms=due_ms)

    return step


async def answered(shelf: Shelf, task: Task) -> None:
    """The caller was told 200 before the vendor said anything."""
    caller = await shelf.caller(task.tenant_id)
    assert await shelf.tasks.remember(caller, task.id, task.idempotency)


async def accepted(shelf: Shelf, task: Task) -> None:
    """The vendor took it."""
    await shelf.accept(task)


S = TaskState
LIVES: dict[str, list[Step]] = {
    "sending": [],
    "sending, answered": [answered],
    "submitted": [accepted, to(S.SUBMITTED), to(S.SUBMITTED)],
    "watching": [accepted, to(S.WATCHING), to(S.WATCHING)],
    "in_doubt": [answered, to(S.IN_DOUBT)],
    "completed": [accepted, to(S.SUBMITTED), to(S.COMPLETED)],
    "completed at once": [accepted, to(S.COMPLETED)],
    "failed": [accepted, to(S.FAILED)],
    "watched, completed": [accepted, to(S.WATCHING), to(S.COMPLETED)],
    "watched, failed": [accepted, to(S.WATCHING), to(S.FAILED)],
    "doubted, found, completed": [answered, to(S.IN_DOUBT), accepted, to(S.COMPLETED)],
    "doubted, rejected": [answered, to(S.IN_DOUBT), to(S.REJECTED)],
    "doubted, written off": [answered, to(S.IN_DOUBT), to(S.WRITTEN_OFF)],
    "rejected": [answered, to(S.REJECTED)],
    "queued": [answered],
    "queued, cancelled": [answered, to(S.CANCELLED)],
}
"""What may become of a task; between two steps weeks may pass."""

LONGEST = max(map(len, LIVES.values()))


@dataclass
class Life:
    """One task, and what it has before it."""

    task: Task
    ahead: list[Step]

    def expiring(self) -> list[str]:
        """Return the names of all that is kept of it."""
        shard, task = Shard.of(self.task.tenant_id), self.task
        idem = shard.idempotency(task.tenant_id, task.mode, task.idempotency)
        return [idem, shard.task(task.id), shard.ledger(task.id), shard.story(task.id)]


@pytest.fixture
async def lives(shelf: Shelf) -> list[Life]:
    """A thousand tasks with a life each."""
    lots = random.Random(10)
    callers = [await shelf.caller(f"tenant-{n}") for n in range(TENANTS)]
    # Without a single slot whatever it creates has to wait.
    waiting = await shelf.caller("waiting", tasks_in_flight=0, when_full="queue")

    async def begun(number: int) -> Life:
        name, kind = f"{number:064x}", lots.choice(list(LIVES))
        if kind.startswith("queued"):
            task = await shelf.queued(waiting, idempotency=name)
        else:
            task = await shelf.admit(callers[number % TENANTS], idempotency=name)
        return Life(task, list(LIVES[kind]))

    return [
        each
        for start in range(0, TASKS, AT_ONCE)
        for each in await asyncio.gather(
            *(begun(number) for number in range(start, start + AT_ONCE))
        )
    ]


async def all_go_on(shelf: Shelf, lives: list[Life]) -> None:
    """Take the next step of every life that has one."""
    going = [life for life in lives if life.ahead]
    for start in range(0, len(going), AT_ONCE):
        batch = going[start : start + AT_ONCE]
        await asyncio.gather(*(life.ahead.pop(0)(shelf, life.task) for life in batch))
    for number in range(16):
        of_shard = [life for life in lives if Shard.of(life.task.tenant_id).number == number]
        found = await shelf.tasks.load(Shard(number), [life.task.id for life in of_shard])
        for life, task in zip(of_shard, found, strict=True):
            life.task = task


async def expiries(shelf: Shelf, lives: list[Life]) -> list[int]:
    """Return when what is kept of these lives expires."""
    async with shelf.redis.pipeline(transaction=False) as pipe:
        for life in lives:
            for name in life.expiring():
                pipe.pexpiretime(name)
        found: list[int] = await pipe.execute()
    return found


async def test_of_a_thousand_tasks_nothing_expires_early(shelf: Shelf, lives: list[Life]) -> None:
    """Through weeks and every state: no expiry before the end, and then a day at the least."""
    lots = random.Random(11)
    ended_ms: dict[str, int] = {}
    for _ in range(1 + LONGEST):
        shelf.clock.advance_ms(lots.randrange(LONGEST_PAUSE_DAYS * DAY_MS))
        is_open = [life for life in lives if life.task.id not in ended_ms]
        await all_go_on(shelf, is_open)
        ends = [life for life in is_open if life.task.state in FINAL]
        ended_ms.update((life.task.id, shelf.clock.now_ms()) for life in ends)
        is_open = [life for life in is_open if life.task.state not in FINAL]

        kept_ms = await expiries(shelf, ends)
        replays = await asyncio.gather(*(replay(shelf, life) for life in ends[:AT_ONCE]))

        assert set(await expiries(shelf, is_open)) == {WHILE_OPEN}
        assert not ends or min(kept_ms) >= shelf.clock.now_ms() + DAY_MS
        assert replays == [life.task.id for life in ends[:AT_ONCE]]
    assert TASKS / 2 < len(ended_ms) < TASKS


async def replay(shelf: Shelf, life: Life) -> str:
    """Repeat the create of a life; returns the task that it is answered with."""
    caller = await shelf.caller(life.task.tenant_id)
    again = shelf.new(caller, idempotency=life.task.idempotency)
    outcome = await shelf.tasks.admit(again, now_ms=shelf.clock.now_ms())
    assert isinstance(outcome, Replayed)
    return outcome.task_id
