"""advance.lua: one step of a task with everything that follows from it, and never a second one."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.task import ARROWS, FINAL, ForbiddenArrow, TaskState
from app.store.keys import Shard, windows
from app.store.task_record import Retiring
from tests.store.shelf import PRICE, RETENTION_MS, Shelf
from tests.support.contents import everything

S = TaskState
KEY = "1" * 64
DAY_MS = 86_400_000

FORBIDDEN = [
    (before, after)
    for before in (S.SENDING, S.IN_DOUBT, S.SUBMITTED, S.COMPLETED)
    for after in TaskState
    if after not in ARROWS[before]
]


@pytest.mark.parametrize("final", [S.COMPLETED, S.FAILED])
async def test_a_finished_task_leaves_only_its_record(shelf: Shelf, final: TaskState) -> None:
    """Slots, schedules and request body are gone; record and ledger live on for the retention."""
    task = await shelf.submitted(await shelf.caller())
    shard = Shard.of("acme")
    shelf.clock.advance_ms(60_000)
    now_ms = shelf.clock.now_ms()

    moved = await shelf.move(task, final)

    stored = await shelf.tasks.find(task.id)
    assert moved is True
    assert stored is not None
    assert stored["state"] == final
    assert stored["finished_ms"] == str(now_ms)
    assert await shelf.redis.pexpiretime(shard.task(task.id)) == now_ms + RETENTION_MS
    assert await shelf.redis.pexpiretime(shard.ledger(task.id)) == now_ms + RETENTION_MS
    gone = [shard.slots("acme", "live"), shard.slots("acme", "live", task.key_id)]
    gone += [shard.request(task.id), shard.polls, shard.sends, shard.doubts]
    assert await shelf.redis.exists(*gone) == 0


@pytest.mark.parametrize(
    ("held", "charged", "booked"),
    [
        (PRICE, PRICE, [("settle", PRICE)]),
        (PRICE, PRICE - 1, [("settle", PRICE - 1), ("release", 1)]),
        (PRICE, 0, [("release", PRICE)]),
        (PRICE, PRICE + 1, [("adjust", 1), ("settle", PRICE + 1)]),
        (2 * PRICE, PRICE, [("settle", PRICE), ("release", PRICE)]),
        (0, PRICE, [("adjust", PRICE), ("settle", PRICE)]),
        (0, 0, []),
    ],
)
async def test_every_end_of_the_hold_is_booked_to_the_microcredit(
    shelf: Shelf, held: int, charged: int, booked: list[tuple[str, int]]
) -> None:
    """Vendor's hold and final figure bigger, smaller or nothing: hold plus entries come to zero."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    await shelf.accept(task, held_microcredits=held)

    await shelf.move(await shelf.reload(task), S.COMPLETED, charged=charged)

    adjusted = [("adjust", held - PRICE)] if held != PRICE else []
    assert await shelf.money(task) == [("hold", PRICE), *adjusted, *booked]
    for window in windows(shelf.clock.now_ms()):
        figures = await shelf.figures(caller, window)
        assert figures["held"] == figures[f"held:{caller.key_id}"] == 0
        assert figures["settled"] == figures[f"settled:{caller.key_id}"] == charged


async def test_a_rejected_task_gives_everything_back(shelf: Shelf) -> None:
    """Hold, slot, body and recovery time go; the create is as if it had never been sent."""
    caller = await shelf.caller(tasks_in_flight=1, credits_per_day="0.1")
    task = await shelf.admit(caller)

    await shelf.move(task, S.REJECTED)

    assert await shelf.money(task) == [("hold", PRICE), ("release", PRICE)]
    assert await shelf.redis.exists(Shard.of("acme").request(task.id)) == 0
    assert await shelf.attempt(caller) == "admitted"


async def test_a_doubtful_task_keeps_hold_slot_and_body(shelf: Shelf) -> None:
    """Only the schedule changes: it is no send any more, and stands among the doubts."""
    caller = await shelf.caller(tasks_in_flight=1)
    task = await shelf.admit(caller, idempotency=KEY)
    shard = Shard.of("acme")

    await shelf.move(task, S.IN_DOUBT, due_ms=777)

    assert await shelf.redis.zscore(shard.doubts, task.id) == 777
    assert await shelf.redis.zscore(shard.sends, task.id) is None
    assert await shelf.money(task) == [("hold", PRICE)]
    assert await shelf.redis.exists(shard.request(task.id)) == 1
    assert await shelf.redis.pexpiretime(shard.task(task.id)) == -1
    assert await shelf.attempt(caller) == "too_many_in_flight"


@pytest.mark.parametrize(("end", "charged"), [(S.REJECTED, 0), (S.WRITTEN_OFF, PRICE)])
async def test_a_doubt_ends_like_any_task(shelf: Shelf, end: TaskState, charged: int) -> None:
    """Disproved it is released, given up it is counted as spent; either way it leaves the list."""
    task = await shelf.admit(await shelf.caller())
    await shelf.move(task, S.IN_DOUBT)

    moved = await shelf.move(await shelf.reload(task), end, charged=charged)

    day, _ = windows(shelf.clock.now_ms())
    assert moved is True
    assert await shelf.redis.exists(Shard.of("acme").doubts) == 0
    assert (await shelf.figures(await shelf.caller(), day))["settled"] == charged


@pytest.mark.parametrize("state", [S.SUBMITTED, S.WATCHING])
async def test_a_running_task_is_read_again_when_it_is_due(shelf: Shelf, state: TaskState) -> None:
    """Each read replaces the stored answer, counts, and sets the time of the next one."""
    task = await shelf.submitted(await shelf.caller())

    await shelf.move(task, state, due_ms=111)
    await shelf.move(await shelf.reload(task), state, due_ms=222)

    again = await shelf.reload(task)
    assert again.state is state
    assert again.reads == 2
    assert again.version == task.version + 2
    assert await shelf.redis.zscore(Shard.of("acme").polls, task.id) == 222


@pytest.mark.parametrize("after", [S.SUBMITTED, S.COMPLETED, S.FAILED])
async def test_a_step_decided_on_an_older_version_changes_nothing(
    shelf: Shelf, after: TaskState
) -> None:
    """Somebody was faster: the stale step says so and leaves the store as it was."""
    task = await shelf.submitted(await shelf.caller(), idempotency=KEY)
    await shelf.move(task, S.SUBMITTED, due_ms=5)
    untouched = await everything(shelf.redis)

    moved = await shelf.move(task, after, charged=PRICE)

    assert moved is False
    assert await everything(shelf.redis) == untouched


@pytest.mark.parametrize("end", [S.COMPLETED, S.FAILED])
async def test_a_finished_task_is_never_finished_again(shelf: Shelf, end: TaskState) -> None:
    """The same step repeated, and the other end offered later, both change nothing."""
    task = await shelf.submitted(await shelf.caller())
    await shelf.move(task, end)
    untouched = await everything(shelf.redis)

    moved = [await shelf.move(task, later, charged=PRICE) for later in (S.COMPLETED, S.FAILED)]

    assert moved == [False, False]
    assert await everything(shelf.redis) == untouched


async def test_a_task_that_is_gone_stays_gone(shelf: Shelf) -> None:
    """A late step neither creates a record nor moves money where the task was forgotten."""
    task = await shelf.submitted(await shelf.caller())
    await shelf.move(task, S.COMPLETED, charged=PRICE)
    shard, windows_now = Shard.of("acme"), windows(shelf.clock.now_ms())
    usage = [shard.usage("acme", "live", window) for window in windows_now]
    await shelf.tasks.forget(Retiring.of(task))
    await shelf.redis.delete(*usage)
    untouched = await everything(shelf.redis)

    moved = await shelf.move(task, S.FAILED)

    assert moved is False
    assert await everything(shelf.redis) == untouched


async def test_of_fifty_on_one_version_one_wins(shelves: list[Shelf]) -> None:
    """Fifty processes that read the same end settle it once, with one winner."""
    shelf = shelves[0]
    caller = await shelf.caller()
    task = await shelf.submitted(caller)

    moved = await asyncio.gather(
        *(
            shelves[n % 3].move(task, (S.COMPLETED, S.FAILED)[n % 2], charged=PRICE * (1 - n % 2))
            for n in range(50)
        )
    )

    assert sum(moved) == 1
    assert len(await shelf.money(task)) == 2


async def test_ends_in_a_race_with_creates_give_each_slot_back_once(shelves: list[Shelf]) -> None:
    """Slots that come free while others are taken never let one task too many in."""
    shelf = shelves[0]
    caller = await shelf.caller(tasks_in_flight=10)
    tasks = [await shelf.submitted(caller) for _ in range(10)]

    outcomes = await asyncio.gather(
        *(shelves[n % 3].move(task, S.FAILED) for n, task in enumerate(tasks * 2)),
        *(shelves[n % 3].attempt(caller) for n in range(50)),
    )

    in_flight = await shelf.redis.scard(Shard.of("acme").slots("acme", "live"))
    assert outcomes[:20].count(True) == 10
    assert outcomes[20:].count("admitted") == in_flight <= 10


@pytest.mark.parametrize(("before", "after"), FORBIDDEN)
async def test_a_step_the_state_machine_does_not_have_is_a_defect(
    shelf: Shelf, before: TaskState, after: TaskState
) -> None:
    """It is refused before a script runs, and nothing is written."""
    task = await shelf.admit(await shelf.caller())
    if before is S.IN_DOUBT:
        await shelf.move(task, S.IN_DOUBT)
    elif before is not S.SENDING:
        await shelf.accept(task)
    if before in FINAL:
        await shelf.move(await shelf.reload(task), before, charged=PRICE)
    task = await shelf.reload(task)
    untouched = await everything(shelf.redis)

    with pytest.raises(ForbiddenArrow):
        await shelf.move(task, after)

    assert await everything(shelf.redis) == untouched
