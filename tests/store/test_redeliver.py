"""Messages that are delivered again: which they are, under which ids, and from where they begin."""

from __future__ import annotations

import pytest

from app.domain.delivery import MAX_REDELIVERIES, PLANNED_MS, Met
from app.errors import DeliveryNotFound, WebhookNotFound
from app.store.deliveries import PAGE
from app.store.keys import Shard
from tests.store.hooking import FAULTY, GONE, OK, URL, Worker, hooks_on
from tests.store.shelf import Shelf
from tests.support.hooks import Hooks


@pytest.fixture
async def hooks(shelf: Shelf) -> Hooks:
    """The endpoints of acme's live mode."""
    return await hooks_on(shelf)


@pytest.fixture
def worker(shelf: Shelf) -> Worker:
    """An engine."""
    return Worker(shelf)


async def test_one_message_is_delivered_again(hooks: Hooks, worker: Worker) -> None:
    """Whatever came of it, and it alone; its schedule begins anew."""
    webhook_id = await hooks.add(URL)
    first, second = await hooks.enqueue(2)
    await worker.one_round(OK)

    count = await hooks.redeliver(webhook_id, id=first)

    assert count == 1
    assert {logged.id: logged.state for logged in await hooks.log(webhook_id)} == {
        first: "pending",
        second: "delivered",
    }
    taken = await worker.taken()
    assert [(message.id, message.turn, message.tries) for message in taken.messages] == [
        (first, 2, 0)
    ]


@pytest.mark.parametrize("message_id", ["msg_" + "0" * 25 + "_failed", "x", "msg_*"])
async def test_what_is_not_in_the_log_is_not_delivered(hooks: Hooks, message_id: str) -> None:
    """Unknown and impossible ids are answered alike, and leave nothing behind."""
    webhook_id = await hooks.add(URL)

    with pytest.raises(DeliveryNotFound):
        await hooks.redeliver(webhook_id, id=message_id)
    assert await hooks.redis.keys("*delivery:*") == []


async def test_a_message_of_another_endpoint_is_not_delivered(hooks: Hooks) -> None:
    """Only what an endpoint was to be told can be told to it again."""
    await hooks.add(URL, events=["task.completed"])
    other = await hooks.add(URL, events=["task.failed"])
    (message_id,) = await hooks.enqueue(event="task.completed")

    with pytest.raises(DeliveryNotFound):
        await hooks.redeliver(other, id=message_id)
    with pytest.raises(WebhookNotFound):
        await hooks.redeliver("we_0000000000000000", id=message_id)


async def test_all_that_was_not_delivered_since_an_instant_is(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Between the two instants, both of them included; what was delivered is left alone."""
    webhook_id = await hooks.add(URL)
    made_at = []
    for met in (GONE, OK, GONE, GONE):
        made_at.append(shelf.clock.now_ms() // 1000)
        await hooks.enqueue()
        await worker.one_round(met)
        await hooks.change(webhook_id, disabled=False)
        shelf.clock.advance_ms(10_000)

    count = await hooks.redeliver(webhook_id, since=made_at[1], until=made_at[2])

    assert count == 1
    states = [logged.state for logged in await hooks.log(webhook_id)]
    assert states == ["failed", "delivered", "pending", "failed"]


@pytest.mark.parametrize(
    ("status", "count"), [("", 2), ("failed", 1), ("skipped", 1), ("delivered", 1), ("all", 3)]
)
async def test_what_came_of_it_can_be_picked(
    hooks: Hooks, worker: Worker, status: str, count: int
) -> None:
    """Of one delivered, one failed and one skipped message."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    await worker.one_round(OK)
    await hooks.enqueue(2)
    taken = await worker.taken(most=1)
    await worker.record(taken, taken.messages[0], GONE)
    await worker.queue.release(taken.held)
    await hooks.change(webhook_id, disabled=False)

    assert await hooks.redeliver(webhook_id, since=0, status=status) == count


async def test_a_long_time_is_redelivered_in_pages(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Each message once, also where those of one instant lie on two pages."""
    webhook_id = await hooks.add(URL, disabled=True)
    sizes = (PAGE - 10, 30, PAGE + 5, 7)
    for size in sizes:
        await hooks.enqueue(size)
        shelf.clock.advance_ms(1)
    await hooks.change(webhook_id, disabled=False)

    count = await hooks.redeliver(webhook_id, since=0)

    assert count == sum(sizes)
    assert await hooks.states(webhook_id) == {"pending": sum(sizes)}
    assert await worker.one_round(OK) == sum(sizes)


async def test_what_is_under_way_goes_once(hooks: Hooks, worker: Worker) -> None:
    """Its schedule begins anew; the attempt that is being made is the first of it."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    taken = await worker.taken()

    count = await hooks.redeliver(webhook_id, id=message_id)
    again = await worker.take(taken.held)
    await worker.record(taken, taken.messages[0], OK)

    assert count == 1
    assert again is not None
    assert again.messages == ()
    assert await hooks.states(webhook_id) == {"delivered": 1}


@pytest.mark.parametrize("met", [FAULTY, GONE], ids=["again", "gone"])
@pytest.mark.parametrize("tries", [0, 4, 9])
async def test_what_fails_while_it_is_redelivered_begins_anew(
    shelf: Shelf, hooks: Hooks, worker: Worker, tries: int, met: Met
) -> None:
    """Whichever attempt it was, and whatever it met with: the next one is due, as the first."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    for wait_ms in PLANNED_MS[1 : tries + 1]:
        await worker.one_round(FAULTY)
        shelf.clock.advance_ms(wait_ms)
    taken = await worker.taken()
    await hooks.redeliver(webhook_id, id=message_id)

    outcome = await worker.record(taken, taken.messages[0], met)
    await worker.queue.release(taken.held)

    if met is GONE:
        assert outcome == ("disabled", "gone")
        await hooks.change(webhook_id, disabled=False)
        await hooks.redeliver(webhook_id, since=0, status="skipped")
    else:
        assert outcome == ("anew", "")
    (again,) = (await worker.taken()).messages
    assert (again.id, again.turn, again.tries) == (message_id, tries + 2, 0)


async def test_what_begins_anew_does_so_once(hooks: Hooks, worker: Worker) -> None:
    """What it meets with then is put off as ever."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    taken = await worker.taken()
    await hooks.redeliver(webhook_id, id=message_id)
    await worker.record(taken, taken.messages[0], FAULTY)
    await worker.queue.release(taken.held)

    await worker.one_round(FAULTY)

    (logged,) = await hooks.log(webhook_id)
    assert (logged.state, logged.tries) == ("pending", 1)
    assert logged.due_ms == hooks.clock.now_ms() + PLANNED_MS[1]


async def test_a_message_is_delivered_again_twenty_times(hooks: Hooks, worker: Worker) -> None:
    """From then on it is left out, alone or among others; those are not."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    counts = []
    for _ in range(MAX_REDELIVERIES + 1):
        await worker.one_round(OK)
        counts.append(await hooks.redeliver(webhook_id, id=message_id))
    await hooks.enqueue()
    await worker.one_round(OK)

    count = await hooks.redeliver(webhook_id, since=0, status="all")

    assert counts == [1] * MAX_REDELIVERIES + [0]
    assert count == 1
    assert await hooks.states(webhook_id) == {"delivered": 1, "pending": 1}


async def test_what_came_of_an_earlier_round_does_not_end_a_redelivery(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """A late result of an attempt from before it is only noted."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    slow = await worker.taken()
    shelf.clock.advance_ms(60_000)
    quick = await worker.taken()
    await worker.record(quick, quick.messages[0], OK)
    await hooks.redeliver(webhook_id, id=message_id)

    late = await worker.record(slow, slow.messages[0], OK)

    assert late[0] == "late"
    (logged,) = await hooks.log(webhook_id)
    assert (logged.state, logged.due_ms) == ("pending", shelf.clock.now_ms())


async def test_a_receiver_at_work_gets_what_is_redelivered(hooks: Hooks, worker: Worker) -> None:
    """Its process finds it; a receiver at rest comes due at once."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    taken = await worker.taken()
    await worker.record(taken, taken.messages[0], FAULTY)

    await hooks.redeliver(webhook_id, id=message_id)

    again = await worker.take(taken.held)
    assert again is not None
    assert [message.id for message in again.messages] == [message_id]
    first = await hooks.redis.zrange(Shard.of("acme").deliveries, 0, 0, withscores=True)
    assert int(first[0][1]) > 0
