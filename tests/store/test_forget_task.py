"""forget_task.lua: at the end of its retention nothing of a task is left but the usage figures."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import TASK_ID_PREFIX
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.flows.forget import ForgetTasks
from app.store.keys import Shard, windows
from app.store.task_record import Retiring
from tests.store.shelf import PRICE, RETENTION_MS, Shelf
from tests.support.contents import everything

S = TaskState
MODEL = "model with a blank"


async def ended(shelf: Shelf, caller: Caller, *, cancelled: bool = False) -> Task:
    """Return a task that has come to its end now."""
    task = await shelf.submitted(caller, model=MODEL)
    if cancelled:
        body = b'{"status":"failed","error":"request_cancelled"}'
        await shelf.move(task, S.FAILED, body=body, cancelled=True)
    else:
        await shelf.move(task, S.COMPLETED, charged=PRICE)
    return task


async def clear_figures(shelf: Shelf) -> None:
    """Drop usage figures, which outlive their tasks: the audit after the test reckons by tasks."""
    names = [raw async for raw in shelf.redis.scan_iter(match="rg:{s*}:usage:*")]
    await shelf.redis.delete(*names)


def forgetting(shelf: Shelf) -> ForgetTasks:
    """Return the engine's flow."""
    return ForgetTasks(shelf.tasks, shelf.schedules, shelf.clock)


def named_after(stored: dict[str, object], task: Task) -> list[str]:
    """Return the keys in which a task is named, but for news, which has a life of its own."""
    return sorted(
        name
        for name, kept in stored.items()
        if ":news:" not in name and (task.id in name or task.id in str(kept))
    )


@pytest.mark.parametrize("cancelled", [False, True])
async def test_nothing_is_left_of_a_forgotten_task(shelf: Shelf, cancelled: bool) -> None:
    """Record, ledger and every place in every list go; what was used stays in the figures."""
    caller = await shelf.caller()
    task = await ended(shelf, caller, cancelled=cancelled)
    day, month = windows(task.created_ms)
    figures = [await shelf.figures(caller, window) for window in (day, month)]

    gone = await shelf.tasks.forget(Retiring.of(task))

    assert gone is True
    assert named_after(await everything(shelf.redis), task) == []
    assert [await shelf.figures(caller, window) for window in (day, month)] == figures
    await clear_figures(shelf)


async def test_a_task_is_forgotten_once(shelf: Shelf) -> None:
    """Repeating it, as an engine does whose lease ran out, changes nothing."""
    task = await ended(shelf, await shelf.caller())
    await shelf.tasks.forget(Retiring.of(task))
    untouched = await everything(shelf.redis)

    again = await shelf.tasks.forget(Retiring.of(task))

    assert again is False
    assert await everything(shelf.redis) == untouched
    await clear_figures(shelf)


async def test_of_many_at_once_one_forgets(shelves: list[Shelf]) -> None:
    """Several engines at the same task are one."""
    task = await ended(shelves[0], await shelves[0].caller())

    gone = await asyncio.gather(
        *(shelves[n % 3].tasks.forget(Retiring.of(task)) for n in range(12))
    )

    assert gone.count(True) == 1


async def test_other_tasks_stay(shelf: Shelf) -> None:
    """Those of the same key, model and second, of the neighbour and of the other mode."""
    callers = [
        await shelf.caller("acme"),
        await shelf.caller("acme"),
        await shelf.caller("hooli"),
        await shelf.caller("acme", mode="test"),
    ]
    task, *others = [await ended(shelf, caller) for caller in callers]
    before = [named_after(await everything(shelf.redis), other) for other in others]

    await shelf.tasks.forget(Retiring.of(task))

    assert [named_after(await everything(shelf.redis), other) for other in others] == before
    assert named_after(await everything(shelf.redis), task) == []
    await shelf.redis.delete(
        *(Shard.of("acme").usage("acme", "live", each) for each in windows(task.created_ms))
    )
    for other in others:
        await shelf.tasks.forget(Retiring.of(other))
    await clear_figures(shelf)


async def test_a_record_that_expired_by_itself_leaves_its_places_to_be_cleared(
    shelf: Shelf,
) -> None:
    """The entry of what is to be forgotten names all of them: no record is needed."""
    task = await ended(shelf, await shelf.caller())
    shard = Shard.of("acme")
    await shelf.redis.delete(shard.task(task.id), shard.ledger(task.id))
    shelf.clock.advance_ms(RETENTION_MS)

    claimed = await forgetting(shelf)(shard)

    assert claimed == 1
    assert named_after(await everything(shelf.redis), task) == []
    await clear_figures(shelf)


async def test_the_engine_forgets_at_the_end_of_the_retention(shelf: Shelf) -> None:
    """Not a millisecond sooner, counted from the task's end."""
    caller = await shelf.caller()
    task = await ended(shelf, caller)
    shard = Shard.of("acme")
    shelf.clock.advance_ms(RETENTION_MS - 1)

    too_soon = await forgetting(shelf)(shard)
    still_there = await shelf.tasks.find(task.id)
    shelf.clock.advance_ms(1)
    in_time = await forgetting(shelf)(shard)

    assert (too_soon, in_time) == (0, 1)
    assert still_there is not None
    assert await shelf.tasks.find(task.id) is None
    await clear_figures(shelf)


async def test_the_engine_is_told_when_something_is_to_be_forgotten(shelf: Shelf) -> None:
    """What is to be forgotten stands among all that is due, at its own time."""
    await ended(shelf, await shelf.caller())

    due = [entry for entry in await shelf.schedules.peek() if entry.name == "retires"]

    assert [(entry.shard, entry.at_ms) for entry in due] == [
        (Shard.of("acme"), shelf.clock.now_ms() + RETENTION_MS)
    ]


async def test_an_engine_that_dies_forgetting_leaves_the_rest_for_later(shelf: Shelf) -> None:
    """What it had claimed comes due again after a minute; nothing stays for ever."""
    caller = await shelf.caller()
    tasks = [await ended(shelf, caller) for _ in range(3)]
    shelf.clock.advance_ms(RETENTION_MS)
    place, now_ms = Shard.of("acme"), shelf.clock.now_ms()
    members = await shelf.schedules.claim(
        "retires", place, now_ms=now_ms, lease_ms=60_000, most=100
    )
    await shelf.tasks.forget(Retiring.read(members[0]))

    at_once = await forgetting(shelf)(place)
    shelf.clock.advance_ms(60_000)
    later = await forgetting(shelf)(place)

    assert (len(members), at_once, later) == (3, 0, 2)
    assert [await shelf.tasks.find(task.id) for task in tasks] == [None] * 3
    await clear_figures(shelf)


async def test_open_tasks_are_never_forgotten(shelf: Shelf) -> None:
    """However old they are."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller)
    shelf.clock.advance_ms(100 * RETENTION_MS)

    assert await forgetting(shelf)(Shard.of("acme")) == 0
    assert await shelf.reload(task) == task


ids = st.from_regex(rf"{TASK_ID_PREFIX}[0-9]{{10}}-[0-9a-z]{{25}}", fullmatch=True)
tenants = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,61}", fullmatch=True)
models = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,40}", fullmatch=True)


@given(task_id=ids, tenant=tenants, mode=st.sampled_from(["live", "test"]), model=models)
def test_an_entry_reads_back_as_it_was_written(
    task_id: str, tenant: str, mode: str, model: str
) -> None:
    """Whatever the model is called."""
    retiring = Retiring(task_id, tenant, mode, model)

    assert Retiring.read(retiring.member()) == retiring
