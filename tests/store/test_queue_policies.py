"""Limits and policies that change while tasks wait: who was accepted stays accepted."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from tests.store.shelf import Shelf


async def line_of_two(shelf: Shelf, **limits: Any) -> tuple[Caller, Task, list[Task]]:
    """Return a caller whose tenant queues, the task in its only slot, and two that wait."""
    caller = await shelf.caller(**{"tasks_in_flight": 1, "when_full": "queue", **limits})
    running = await shelf.admit(caller)
    return caller, running, [await shelf.queued(caller) for _ in range(2)]


async def ends(shelf: Shelf, task: Task) -> None:
    """End a task that is being sent: its slot is free."""
    assert await shelf.move(await shelf.reload(task), TaskState.REJECTED)


@pytest.mark.parametrize(
    ("change", "outcomes"),
    [
        ({"tasks_in_flight": 2}, ["dispatched", "tenant_full"]),
        ({"tasks_in_flight": 3}, ["dispatched", "dispatched"]),
        ({"tasks_in_flight": None}, ["dispatched", "dispatched"]),
        ({"tasks_in_flight": 0}, ["tenant_full", "tenant_full"]),
    ],
)
async def test_slots_count_as_they_are_at_the_dispatch(
    shelf: Shelf, change: dict[str, Any], outcomes: list[str]
) -> None:
    """More slots let more go at the next look; fewer hold everybody back."""
    _, _, waiting = await line_of_two(shelf)

    await shelf.limit("acme", **change)

    assert [await shelf.dispatch(task) for task in waiting] == outcomes


async def test_fewer_slots_than_are_taken_stop_dispatches_until_enough_are_free(
    shelf: Shelf,
) -> None:
    """Three are under way when the tenant gets one slot: all three have to end first."""
    caller = await shelf.caller(tasks_in_flight=3, when_full="queue")
    running = [await shelf.admit(caller) for _ in range(3)]
    task = await shelf.queued(caller)
    await shelf.limit("acme", tasks_in_flight=1)

    outcomes = []
    for each in running:
        await ends(shelf, each)
        outcomes.append(await shelf.dispatch(task))

    assert outcomes == ["tenant_full", "tenant_full", "dispatched"]


@pytest.mark.parametrize(
    "change",
    [
        {"when_full": "reject"},
        {"max_queued": 0},
        {"models": []},
        {"creates_per_minute": 0},
        {"credits_per_day": "0"},
    ],
)
async def test_who_waits_is_sent_whatever_is_decided_about_later_creates(
    shelf: Shelf, change: dict[str, Any]
) -> None:
    """An accepted task was checked when it was accepted; only new ones are refused."""
    caller, running, waiting = await line_of_two(shelf)
    await shelf.limit("acme", **change)
    refused = await shelf.attempt(caller)
    await ends(shelf, running)

    outcome = await shelf.dispatch(waiting[0])

    assert refused not in ("admitted", "queued")
    assert outcome == "dispatched"


async def test_a_tenant_that_queues_no_more_is_answered_at_once(shelf: Shelf) -> None:
    """With a slot free a create is sent, without one it is refused; nothing joins the line."""
    caller, running, waiting = await line_of_two(shelf)
    await shelf.limit("acme", when_full="reject")

    without = await shelf.attempt(caller)
    await ends(shelf, running)
    with_one = await shelf.attempt(caller)

    assert (without, with_one) == ("too_many_in_flight", "admitted")
    assert await shelf.line(caller) == [task.id for task in waiting]


async def test_a_tenant_that_queues_for_the_vendor_alone_keeps_the_order(shelf: Shelf) -> None:
    """With a slot free a create goes behind who waits; without one it is refused as ever."""
    caller, running, waiting = await line_of_two(shelf)
    await shelf.limit("acme", when_full="reject", when_vendor_down="queue")

    without = await shelf.attempt(caller)
    await ends(shelf, running)
    with_one = await shelf.attempt(caller)

    assert (without, with_one) == ("too_many_in_flight", "queued")
    assert (await shelf.line(caller))[:2] == [task.id for task in waiting]


async def test_a_vendor_that_is_away_is_not_tried_for_every_create(shelf: Shelf) -> None:
    """A create behind tasks that were put back waits for their time."""
    caller = await shelf.caller(when_vendor_down="queue")
    task = await shelf.admit(caller)
    await shelf.requeue(task, wait_ms=7_000)

    await shelf.queued(caller)

    assert await shelf.next_look_ms(caller) == 7_000


@pytest.mark.parametrize(("wanted", "position"), [("queue", 1), ("reject", None), (None, None)])
async def test_a_task_is_put_back_as_its_tenant_wants_at_that_instant(
    shelf: Shelf, wanted: str | None, position: int | None
) -> None:
    """The policy may have changed since it was sent."""
    caller = await shelf.caller(when_vendor_down="reject" if wanted == "queue" else "queue")
    task = await shelf.admit(caller)
    await shelf.limit("acme", when_vendor_down=wanted)

    assert await shelf.requeue(task) == position


async def test_a_task_put_back_may_exceed_the_bound_of_the_queue(shelf: Shelf) -> None:
    """It was accepted before those that fill the queue; the bound is for new ones."""
    caller = await shelf.caller(
        tasks_in_flight=1, when_full="queue", when_vendor_down="queue", max_queued=1
    )
    running = await shelf.admit(caller)
    await shelf.queued(caller)
    await shelf.tasks.remember(caller, running.id, "")

    position = await shelf.requeue(running)

    assert position == 1
    assert await shelf.attempt(caller) == "queue_full"


@pytest.mark.parametrize(("most", "position"), [(0, None), (1, 1)])
async def test_a_create_that_was_not_answered_yet_finds_the_queue_full_like_any_other(
    shelf: Shelf, most: int, position: int | None
) -> None:
    """The vendor is away: so many may wait for it, and the next is told so."""
    caller = await shelf.caller(when_vendor_down="queue", max_queued=most)

    assert await shelf.requeue(await shelf.admit(caller)) == position


async def test_a_free_slot_wakes_the_queue_of_a_tenant_that_also_waits_for_the_vendor(
    shelf: Shelf,
) -> None:
    """The vendor is not away, so whoever has a slot goes at once, and not at the next look."""
    caller = await shelf.caller(when_full="queue", when_vendor_down="queue")
    colleague = await shelf.colleague(caller, tasks_in_flight=1)
    await shelf.admit(colleague)
    await shelf.queued(colleague)
    shelf.clock.advance_ms(100)

    await shelf.queued(caller)

    assert await shelf.next_look_ms(caller) == 0


async def test_while_the_vendor_is_away_a_look_that_was_under_way_sends_nothing(
    shelf: Shelf,
) -> None:
    """It had claimed the queue before the first task came back to it; its time is kept."""
    caller = await shelf.caller(when_vendor_down="queue")
    task = await shelf.admit(caller)
    await shelf.requeue(task, wait_ms=7_000)
    waiting = await shelf.reload(task)

    early = await shelf.dispatch(waiting)
    shelf.clock.advance_ms(7_000)

    assert early == "vendor_away"
    assert await shelf.dispatch(waiting) == "dispatched"
