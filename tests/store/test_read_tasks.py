"""read_tasks.lua: several of a caller's tasks in one look; what is not its own is left out."""

from __future__ import annotations

import secrets

from app.domain.ids import mint_task_id
from app.domain.task import TaskState
from app.domain.tenant import Caller
from tests.store.shelf import Shelf
from tests.support.contents import everything


async def bodies(shelf: Shelf, caller: Caller, ids: list[str]) -> list[bytes]:
    """Read several tasks as a caller."""
    return await shelf.reads.several(ids, caller=caller, now_ms=shelf.clock.now_ms())


async def numbered(shelf: Shelf, caller: Caller, number: int) -> str:
    """Admit a task whose answer has a number in it; returns its id."""
    around = (b'{"n":%d,"group":"' % number, b'"}')
    return (await shelf.admit(caller, body_around_group=around)).id


async def test_tasks_come_in_the_order_they_were_asked_for(shelf: Shelf) -> None:
    """Each as it is stored, to the byte, and as often as it is named."""
    caller = await shelf.caller()
    ids = [await numbered(shelf, caller, number) for number in range(3)]

    found = await bodies(shelf, caller, [ids[2], ids[0], ids[1], ids[0]])

    assert found == [b'{"n":%d,"group":"default"}' % number for number in (2, 0, 1, 0)]


async def test_what_is_not_the_callers_own_is_left_out(shelf: Shelf) -> None:
    """Unknown ids, neighbours' tasks, those of the other mode: nothing stands in their place."""
    caller = await shelf.caller("acme")
    strangers = [
        await shelf.caller("globex"),
        await shelf.caller("hooli"),
        await shelf.caller("acme", mode="test"),
    ]
    own = [await numbered(shelf, caller, number) for number in (1, 2)]
    foreign = [await numbered(shelf, each, 9) for each in strangers]
    unknown = mint_task_id(shelf.clock.now_ms(), secrets.choice)

    found = await bodies(shelf, caller, [foreign[0], own[0], unknown, *foreign[1:], own[1]])

    assert found == [b'{"n":1,"group":"default"}', b'{"n":2,"group":"default"}']
    assert await bodies(shelf, caller, foreign) == []


async def test_a_task_refused_within_its_create_is_left_out(shelf: Shelf) -> None:
    """Whoever was answered before the refusal finds it."""
    caller = await shelf.caller()
    tasks = [await shelf.admit(caller) for _ in range(2)]
    await shelf.tasks.remember(caller, tasks[1].id, "")
    for task in tasks:
        await shelf.move(task, TaskState.REJECTED)

    assert await bodies(shelf, caller, [task.id for task in tasks]) == [b'{"status":"rejected"}']


async def test_a_hundred_at_once_are_read_and_nothing_changes(shelf: Shelf) -> None:
    """As many as the largest page has; asking for none is asking for nothing."""
    caller = await shelf.caller()
    ids = [await numbered(shelf, caller, number) for number in range(100)]
    untouched = await everything(shelf.redis)

    found = await bodies(shelf, caller, ids)

    assert found == [b'{"n":%d,"group":"default"}' % number for number in range(100)]
    assert await bodies(shelf, caller, []) == []
    assert await everything(shelf.redis) == untouched
