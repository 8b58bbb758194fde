"""list_tasks.lua, and the lists it reads: every task a tenant can see, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.store.keys import LIST_NAMES, ListName, Shard
from tests.store.shelf import Shelf
from tests.support.contents import everything

S = TaskState
MODELS = ("sora-character", "model with a blank")
CALLED_OFF = b',"error":"request_cancelled"}'


async def new_task(shelf: Shelf, caller: Caller, *, model: str = MODELS[0]) -> Task:
    """Admit a task that says in its answer which one it is."""
    wish = shelf.new(caller, model=model)
    head = b'{"id":"%s","status":"pending","group":"' % wish.id.encode()
    return await shelf.admit(caller, id=wish.id, model=model, body_around_group=(head, b'"}'))


async def step(shelf: Shelf, task: Task, state: TaskState, *, cancelled: bool = False) -> Task:
    """Carry a task one step on; its answer goes on saying which one it is."""
    body = task.body.removesuffix(b"}") + (CALLED_OFF if cancelled else b"}")
    if state is S.SUBMITTED:
        await shelf.accept(task, held_microcredits=task.held_microcredits, body=body)
    else:
        assert await shelf.move(task, state, body=body, cancelled=cancelled)
    return await shelf.reload(task)


async def shown(
    shelf: Shelf,
    caller: Caller,
    which: ListName = "all",
    model: str = "",
    *,
    places: tuple[int, int] = (0, 99),
) -> tuple[list[str], int]:
    """Return the ids on a page of a list, and how many the whole list has."""
    bodies, total = await shelf.reads.page(
        which, model, first=places[0], last=places[1], caller=caller, now_ms=shelf.clock.now_ms()
    )
    return [json.loads(body)["id"] for body in bodies], total


async def lists_of(shelf: Shelf, caller: Caller, model: str = "") -> dict[ListName, list[str]]:
    """Return every list of a caller that has something on it."""
    found = {which: (await shown(shelf, caller, which, model))[0] for which in LIST_NAMES}
    return {which: ids for which, ids in found.items() if ids}


@dataclass(frozen=True)
class Story:
    """What happens to a task, and the lists it is on afterwards."""

    name: str
    states: tuple[TaskState, ...]
    lists: Iterable[ListName]
    cancelled: bool = False
    answered: bool = False


STORIES = [
    Story("sending", (), {"all", "open"}),
    Story("in doubt", (S.IN_DOUBT,), {"all", "open"}),
    Story("submitted", (S.SUBMITTED,), {"all", "open"}),
    Story("read again", (S.SUBMITTED, S.WATCHING, S.WATCHING), {"all", "open"}),
    Story("found again", (S.IN_DOUBT, S.SUBMITTED), {"all", "open"}),
    Story("completed", (S.SUBMITTED, S.COMPLETED), {"all", "completed"}),
    Story("completed late", (S.SUBMITTED, S.WATCHING, S.COMPLETED), {"all", "completed"}),
    Story("failed", (S.SUBMITTED, S.FAILED), {"all", "failed"}),
    Story("called off", (S.SUBMITTED, S.FAILED), {"all", "failed", "cancelled"}, cancelled=True),
    Story("never sent", (S.QUEUED, S.CANCELLED), {"all", "failed", "cancelled"}, cancelled=True),
    Story("written off", (S.IN_DOUBT, S.WRITTEN_OFF), {"all", "failed"}),
    Story("refused in its create", (S.REJECTED,), set()),
    Story("refused in doubt", (S.IN_DOUBT, S.REJECTED), set()),
    Story("refused after its answer", (S.REJECTED,), {"all", "failed"}, answered=True),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_task_is_on_the_lists_of_its_state_and_on_no_other(
    shelf: Shelf, story: Story
) -> None:
    """On those of all models and on those of its own, whatever it has been through."""
    caller = await shelf.caller()
    task = await new_task(shelf, caller)
    if story.answered:
        await shelf.tasks.remember(caller, task.id, "")

    for number, state in enumerate(story.states, 1):
        is_last = number == len(story.states)
        task = await step(shelf, task, state, cancelled=story.cancelled and is_last)

    expected = {which: [task.id] for which in story.lists}
    assert await lists_of(shelf, caller) == expected
    assert await lists_of(shelf, caller, MODELS[0]) == expected
    assert await lists_of(shelf, caller, MODELS[1]) == {}


async def test_a_list_is_newest_first(shelf: Shelf) -> None:
    """By creation, also where the older one ended later."""
    caller, tasks = await shelf.caller(), []
    for _ in range(4):
        tasks.append(await new_task(shelf, caller))
        shelf.clock.advance_ms(1)

    for task in reversed(tasks):
        submitted = await step(shelf, task, S.SUBMITTED)
        shelf.clock.advance_ms(1000)
        await step(shelf, submitted, S.COMPLETED)

    newest_first = [task.id for task in reversed(tasks)]
    assert await lists_of(shelf, caller) == {"all": newest_first, "completed": newest_first}


@pytest.mark.parametrize("size", [1, 4, 5, 7, 8, 9])
async def test_pages_are_the_list_without_gap_or_repeat(shelf: Shelf, size: int) -> None:
    """Each tells the whole number; the last is shorter, and behind it there is nothing."""
    caller, tasks = await shelf.caller(), []
    for number in range(8):
        tasks.append(await new_task(shelf, caller))
        # Some are of the same millisecond.
        shelf.clock.advance_ms(number % 2)

    pages = [
        await shown(shelf, caller, places=(first, first + size - 1))
        for first in range(0, 8 + size, size)
    ]

    whole, _ = await shown(shelf, caller)
    assert [task_id for ids, _ in pages for task_id in ids] == whole
    assert sorted(whole) == sorted(task.id for task in tasks)
    assert {total for _, total in pages} == {8}
    assert pages[-1][0] == []


async def test_a_model_has_lists_of_its_own(shelf: Shelf) -> None:
    """Its totals count its own tasks alone."""
    caller = await shelf.caller()
    tasks = [await new_task(shelf, caller, model=model) for model in MODELS * 2]
    await step(shelf, await step(shelf, tasks[1], S.SUBMITTED), S.FAILED)

    assert await lists_of(shelf, caller, MODELS[1]) == {
        "all": sorted([tasks[1].id, tasks[3].id], reverse=True),
        "open": [tasks[3].id],
        "failed": [tasks[1].id],
    }
    assert (await shown(shelf, caller, "all", MODELS[0]))[1] == 2
    assert (await shown(shelf, caller, "all"))[1] == 4
    assert (await shown(shelf, caller, "all", "no such model")) == ([], 0)


async def test_lists_of_others_are_not_touched(shelf: Shelf) -> None:
    """Another tenant of the same shard, and the other mode, see their own tasks alone."""
    callers = [
        await shelf.caller("acme"),
        await shelf.caller("hooli"),
        await shelf.caller("acme", mode="test"),
    ]
    assert Shard.of("acme") == Shard.of("hooli")
    tasks = [await new_task(shelf, caller) for caller in callers]
    await step(shelf, await step(shelf, tasks[0], S.SUBMITTED), S.COMPLETED)

    found = [await lists_of(shelf, caller) for caller in callers]

    assert found == [
        {"all": [tasks[0].id], "completed": [tasks[0].id]},
        {"all": [tasks[1].id], "open": [tasks[1].id]},
        {"all": [tasks[2].id], "open": [tasks[2].id]},
    ]


async def test_every_key_of_a_tenant_sees_all_of_its_tasks(shelf: Shelf) -> None:
    """A list is the tenant's: it does not say by which key a task was made."""
    first = await shelf.caller()
    second = await shelf.colleague(first)
    tasks = [await new_task(shelf, caller) for caller in (first, second)]

    assert await lists_of(shelf, first) == await lists_of(shelf, second)
    assert {task.id for task in tasks} == set((await shown(shelf, second))[0])


async def test_a_forgotten_task_is_missing_from_its_page(bare_shelf: Shelf) -> None:
    """A record that expired before its place was cleared makes no hole and no error."""
    shelf, caller = bare_shelf, await bare_shelf.caller()
    tasks = [await new_task(shelf, caller) for _ in range(3)]
    await shelf.redis.delete(Shard.of("acme").task(tasks[1].id))

    ids, total = await shown(shelf, caller)

    assert sorted(ids) == sorted([tasks[0].id, tasks[2].id])
    assert total == 3


async def test_looking_at_lists_changes_nothing(shelf: Shelf) -> None:
    """Nor does a page far behind the end."""
    caller = await shelf.caller()
    task = await step(shelf, await new_task(shelf, caller), S.SUBMITTED)
    await step(shelf, task, S.COMPLETED)
    untouched = await everything(shelf.redis)

    await lists_of(shelf, caller)
    far = await shown(shelf, caller, places=(99_999_900, 99_999_999))

    assert far == ([], 1)
    assert await everything(shelf.redis) == untouched
