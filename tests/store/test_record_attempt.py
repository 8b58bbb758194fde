"""record_attempt.lua: what came of an attempt, for its message, its endpoint and the log."""

from __future__ import annotations

import pytest

from app.domain.delivery import (
    DISABLE_AFTER_MS,
    MAX_ANSWERS_KEPT,
    MAX_ATTEMPTS_KEPT,
    PLANNED_MS,
    Met,
)
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


async def next_look_ms(hooks: Hooks) -> int | None:
    """Return in how long the shard's schedule has something due; None: it is empty."""
    first = await hooks.redis.zrange(Shard.of("acme").deliveries, 0, 0, withscores=True)
    return int(first[0][1]) - hooks.clock.now_ms() if first else None


async def test_a_record_is_safe_to_repeat(hooks: Hooks, worker: Worker) -> None:
    """Whoever got no reply writes it again, and it counts once."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    taken = await worker.taken()

    outcomes = [(await worker.record(taken, taken.messages[0], FAULTY))[0] for _ in range(3)]

    assert outcomes == ["recorded", "again", "again"]
    (logged,) = await hooks.log(webhook_id)
    assert (logged.tries, len(logged.attempts)) == (1, 1)
    assert (await hooks.get(webhook_id)).failures == 1


async def test_the_tenth_failure_is_the_last(shelf: Shelf, hooks: Hooks, worker: Worker) -> None:
    """Then the message has failed, and nothing of it is due any more."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()

    waits = []
    while (wait_ms := await next_look_ms(hooks)) is not None:
        waits.append(wait_ms)
        shelf.clock.advance_ms(wait_ms)
        assert await worker.one_round(FAULTY) == 1

    assert tuple(waits) == PLANNED_MS
    (logged,) = await hooks.log(webhook_id)
    assert (logged.state, logged.tries, len(logged.attempts)) == ("failed", 10, 10)
    assert (await hooks.get(webhook_id)).off_reason is None


async def test_an_endpoint_that_is_gone_is_disabled(hooks: Hooks, worker: Worker) -> None:
    """Its message has failed, what was to follow is skipped, and it says why."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue(3)
    taken = await worker.taken(most=1)

    outcome = await worker.record(taken, taken.messages[0], GONE)

    webhook = await hooks.get(webhook_id)
    assert outcome == ("disabled", "gone")
    assert (webhook.off_reason, webhook.off_ms) == ("gone", hooks.clock.now_ms())
    assert await hooks.states(webhook_id) == {"failed": 1, "skipped": 2}
    assert await worker.take(taken.held) is None


@pytest.mark.parametrize("met", [FAULTY, GONE, OK], ids=["faulty", "gone", "ok"])
async def test_what_the_old_address_says_is_not_the_new_one_s(
    hooks: Hooks, worker: Worker, met: Met
) -> None:
    """It is noted; the endpoint stays as it is, and what did not arrive goes to the new address."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue()
    taken = await worker.taken()
    await hooks.change(webhook_id, url=URL + "/new")

    outcome, _ = await worker.record(taken, taken.messages[0], met)
    await worker.queue.release(taken.held)

    webhook = await hooks.get(webhook_id)
    assert (webhook.disabled, webhook.failures, webhook.last_ms) == (False, 0, None)
    (logged,) = await hooks.log(webhook_id)
    assert [attempt["status_code"] for attempt in logged.attempts] == [met.status]
    if met is OK:
        assert (outcome, logged.state, logged.tries) == ("recorded", "delivered", 1)
        return
    assert (outcome, logged.state, logged.tries) == ("anew", "pending", 0)
    (again,) = (await worker.taken()).messages
    assert again.url == URL + "/new"


async def test_an_endpoint_that_fails_for_120_hours_is_disabled(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Counted from its first failure since its last success."""
    webhook_id = await hooks.add(URL)

    async def fail() -> str:
        await hooks.enqueue()
        taken = await worker.taken(most=1)
        outcome, reason = await worker.record(taken, taken.messages[0], FAULTY)
        await hooks.redis.delete(Shard.of("acme").due("acme", "live", webhook_id))
        await worker.queue.release(taken.held)
        return reason or outcome

    first = await fail()
    shelf.clock.advance_ms(DISABLE_AFTER_MS - 1)
    before = await fail()
    shelf.clock.advance_ms(1)
    then = await fail()

    assert (first, before, then) == ("recorded", "recorded", "failing")
    assert (await hooks.get(webhook_id)).off_reason == "failing"


async def test_a_success_begins_the_120_hours_anew(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """One in between is enough."""
    webhook_id = await hooks.add(URL)
    for met in (FAULTY, OK, FAULTY):
        await hooks.enqueue()
        taken = await worker.taken(most=1)
        await worker.record(taken, taken.messages[0], met)
        await worker.queue.release(taken.held)
        shelf.clock.advance_ms(DISABLE_AFTER_MS // 2)
        await hooks.redis.delete(Shard.of("acme").due("acme", "live", webhook_id))

    webhook = await hooks.get(webhook_id)
    assert (webhook.off_reason, webhook.failures) == (None, 1)
    assert webhook.last_ms is not None


async def test_what_comes_of_a_deleted_endpoint_s_attempt_is_not_kept(
    hooks: Hooks, worker: Worker
) -> None:
    """No record rises again from an answer that comes after the deletion."""
    webhook_id = await hooks.add(URL)
    await hooks.enqueue(2)
    taken = await worker.taken(most=1)
    await hooks.webhooks.delete(webhook_id, hooks.asker)

    outcome = await worker.record(taken, taken.messages[0], FAULTY)
    assert await worker.take(taken.held) is None
    await worker.queue.release(taken.held)

    assert outcome[0] == "gone"
    left = {name.decode().split(":", 2)[2] for name in await hooks.redis.keys("*we_*")}
    assert left == {f"delivery:{webhook_id}:{taken.messages[0].id}"}
    assert await next_look_ms(hooks) is None


async def test_the_log_keeps_the_newest_attempts(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Fifty of a message are kept, however often it is delivered again."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    for n in range(1, MAX_ATTEMPTS_KEPT + 6):
        await worker.one_round(FAULTY)
        shelf.clock.advance_ms(PLANNED_MS[2])
        if n % 3 == 0:
            await hooks.redeliver(webhook_id, id=message_id)

    (logged,) = await hooks.log(webhook_id)
    numbers = [attempt["number"] for attempt in logged.attempts]
    assert numbers == list(range(6, MAX_ATTEMPTS_KEPT + 6))


async def test_the_log_keeps_the_answers_of_the_last_ten_attempts(
    shelf: Shelf, hooks: Hooks, worker: Worker
) -> None:
    """Whatever is written in them; of older ones all else stays as it was."""
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    answer = '","why":" "answer":"\\ ü %1'
    for _ in range(MAX_ANSWERS_KEPT + 2):
        await worker.one_round(Met(500, "answered", 7, answer=answer.encode(), why="so"))
        await hooks.redeliver(webhook_id, id=message_id)

    (logged,) = await hooks.log(webhook_id)
    answers = [attempt.pop("answer") for attempt in logged.attempts]
    assert answers == ["", "", *[answer] * MAX_ANSWERS_KEPT]
    rest = {"outcome": "answered", "status_code": 500, "took_ms": 7, "why": "so"}
    at_s = shelf.clock.now_ms() // 1000
    assert logged.attempts == [
        {"number": n, "at": at_s, **rest} for n in range(1, MAX_ANSWERS_KEPT + 3)
    ]
