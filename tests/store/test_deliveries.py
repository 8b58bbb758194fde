"""Deliveries in the store: each due message is one process's, and its newest attempt counts."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.delivery import (
    Met,
)
from app.store.delivery_queue import REST_MS
from app.store.keys import Shard
from tests.store.hooking import ATTEMPT_MS, FAULTY, GONE, LEASE_MS, OK, URL, Worker, hooks_on
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


async def next_look_ms(hooks: Hooks) -> int | None:
    """Return in how long the shard's schedule has something due; None: it is empty."""
    first = await hooks.redis.zrange(Shard.of("acme").deliveries, 0, 0, withscores=True)
    return int(first[0][1]) - hooks.clock.now_ms() if first else None


async def test_only_endpoints_that_want_an_event_get_it(shelf: Shelf, hooks: Hooks) -> None:
    """Of the same tenant and mode, that is."""
    other = await hooks_on(shelf, mode="test")
    wants = await hooks.add(URL, events=["task.completed", "task.failed"])
    does_not = await hooks.add(URL, events=["task.processing"])
    elsewhere = await other.add(URL)

    (message_id,) = await hooks.enqueue(event="task.completed")

    assert [each.id for each in await hooks.log(wants)] == [message_id]
    assert await hooks.log(does_not) == []
    assert await other.log(elsewhere) == []


async def test_a_receiver_is_one_process_s_at_a_time(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Of thirty that claim at once one has it; after its lease it can be had again."""
    await hooks.add(URL)
    await hooks.enqueue()

    claims = await asyncio.gather(*(worker.claim() for _ in range(30)))
    shelf.clock.advance_ms(LEASE_MS - 1)
    too_soon = await worker.claim()
    shelf.clock.advance_ms(1)
    again = await worker.claim()

    assert sum(len(found) for found in claims) == 1
    assert too_soon == []
    assert len(again) == 1


async def test_a_lease_from_a_clock_that_was_ahead_holds_nothing_up(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Its process died and the clock was set back: another has it, not an hour later."""
    await hooks.add(URL)
    await hooks.enqueue()
    await worker.claim()
    shelf.clock.advance_ms(-3_600_000)
    (message_id,) = await hooks.enqueue()

    taken = await worker.taken()

    assert [message.id for message in taken.messages] == [message_id]


async def test_a_process_whose_clock_is_a_little_behind_takes_no_receiver_away(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Their clocks agree to within a round trip, not better."""
    await hooks.add(URL)
    await hooks.enqueue()
    await worker.claim()
    shelf.clock.advance_ms(-500)
    await hooks.enqueue()

    assert await worker.claim() == []


async def test_news_for_a_receiver_at_work_are_its_process_s(hooks: Hooks, worker: Worker) -> None:
    """Nobody else can claim it; whoever holds it finds them."""
    await hooks.add(URL)
    await hooks.enqueue()
    first = await worker.taken()

    (message_id,) = await hooks.enqueue()

    assert await worker.claim() == []
    second = await worker.take(first.held)
    assert second is not None
    assert [message.id for message in second.messages] == [message_id]


async def test_news_for_a_receiver_that_waits_for_a_retry_are_due_at_once(
    hooks: Hooks, worker: Worker
) -> None:
    """One message that fails does not keep the next one waiting."""
    await hooks.add(URL)
    await hooks.enqueue()
    await worker.one_round(FAULTY)
    before_ms = await next_look_ms(hooks)

    await hooks.enqueue()

    assert before_ms == 5_000
    assert await next_look_ms(hooks) == 0


async def test_a_message_is_taken_once(shelf: Shelf, hooks: Hooks, worker: Worker) -> None:
    """Until its attempt's time is over: then whoever took it is taken to be dead."""
    await hooks.add(URL)
    await hooks.enqueue(5)
    first = await worker.taken(most=3)

    second = await worker.take(first.held)
    assert second is not None
    third = await worker.take(second.held)
    shelf.clock.advance_ms(ATTEMPT_MS)
    assert third is not None
    fourth = await worker.take(third.held)

    assert (len(first.messages), len(second.messages), third.messages) == (3, 2, ())
    assert fourth is not None
    assert {message.turn for message in fourth.messages} == {2}


async def test_whoever_lost_a_receiver_takes_nothing_and_gives_nothing_back(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """A process that froze past its lease does not disturb the one that took over."""
    await hooks.add(URL)
    await hooks.enqueue(2)
    frozen = await worker.taken(most=1)
    shelf.clock.advance_ms(LEASE_MS)
    (held,) = await worker.claim()

    lost = await worker.take(frozen.held)
    await worker.queue.release(frozen.held)

    assert lost is None
    assert await worker.claim() == []
    assert await worker.take(held) is not None


async def test_a_failed_attempt_puts_its_message_off(hooks: Hooks, worker: Worker) -> None:
    """The receiver comes due when the message does."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()

    await worker.one_round(FAULTY)

    (logged,) = await hooks.log(webhook_id)
    assert (logged.state, logged.tries) == ("pending", 1)
    assert logged.due_ms == hooks.clock.now_ms() + 5_000
    assert await next_look_ms(hooks) == 5_000


async def test_a_late_failure_does_not_undo_a_newer_success(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """It stands in the log of attempts, and changes nothing."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    slow = await worker.taken()
    shelf.clock.advance_ms(LEASE_MS)
    quick = await worker.taken()

    delivered = await worker.record(quick, quick.messages[0], OK)
    late = await worker.record(slow, slow.messages[0], FAULTY)

    assert (delivered[0], late[0]) == ("recorded", "late")
    (logged,) = await hooks.log(webhook_id)
    assert (logged.state, logged.due_ms) == ("delivered", None)
    assert [attempt["status_code"] for attempt in logged.attempts] == [200, 500]
    assert (await hooks.get(webhook_id)).failures == 0


async def test_a_late_failure_does_not_put_off_a_newer_attempt(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """What is under way stays as it is: neither counted as tried nor moved."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    slow = await worker.taken()
    shelf.clock.advance_ms(LEASE_MS)
    await worker.taken()
    (before,) = await hooks.log(webhook_id)

    await worker.record(slow, slow.messages[0], FAULTY)

    (after,) = await hooks.log(webhook_id)
    assert (after.tries, after.due_ms) == (before.tries, before.due_ms) == (0, before.due_ms)


@pytest.mark.parametrize("then", [FAULTY, GONE], ids=["faulty", "gone"])
async def test_a_late_success_is_a_success(
    shelf: Shelf, hooks: Hooks, worker: Worker, then: Met
) -> None:
    """The message has arrived; what a newer attempt meets with does not change that."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    slow = await worker.taken()
    shelf.clock.advance_ms(LEASE_MS)
    newer = await worker.taken()

    await worker.record(slow, slow.messages[0], OK)
    await worker.record(newer, newer.messages[0], then)

    (logged,) = await hooks.log(webhook_id)
    assert (logged.state, logged.due_ms, logged.tries) == ("delivered", None, 1)


async def test_nothing_is_sent_for_a_deleted_tenant(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """What was due for its receivers is dropped when its turn comes."""
    await hooks.add(URL)
    await hooks.enqueue(3)
    await shelf.redis.hset(Shard.of("acme").tenant("acme"), "state", "deleted")

    assert await worker.one_round(OK) == 0
    assert await next_look_ms(hooks) is None


async def test_failing_receivers_are_claimed_as_far_as_there_is_room(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """The others rest, which is no attempt; those that do not fail are claimed all the same."""
    for _ in range(3):
        await hooks.add(URL, events=["task.completed"])
    await hooks.enqueue()
    await worker.one_round(FAULTY)
    shelf.clock.advance_ms(5_000)
    healthy = await hooks.add(URL, events=["task.failed"])
    await hooks.enqueue(event="task.failed")

    claimed = await worker.claim(failing_most=1)

    assert [held.is_failing for held in claimed].count(True) == 1
    assert healthy in {held.target for held in claimed}
    assert await worker.claim(failing_most=1) == []
    shelf.clock.advance_ms(REST_MS)
    assert len(await worker.claim(failing_most=5)) == 2


async def test_a_message_that_has_expired_is_not_due_any_more(hooks: Hooks, worker: Worker) -> None:
    """It leaves queue and log when its turn comes."""
    webhook_id = await hooks.add(URL)
    gone, there = await hooks.enqueue(2)
    await hooks.redis.delete(Shard.of("acme").message(gone))

    taken = await worker.taken()

    assert [message.id for message in taken.messages] == [there]
    assert [logged.id for logged in await hooks.log(webhook_id)] == [there]


async def test_the_backlog_counts_what_is_due_and_not_under_way(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Neither what is being sent nor what waits for its next attempt."""
    await hooks.add(URL)
    await hooks.enqueue(5)
    begun_ms = hooks.clock.now_ms()
    shelf.clock.advance_ms(60_000)
    taken = await worker.taken(most=2)
    await worker.record(taken, taken.messages[0], FAULTY)

    assert await worker.queue.backlog(now_ms=hooks.clock.now_ms()) == (3, begun_ms)
