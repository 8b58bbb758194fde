"""accept.lua: the vendor has the task, and the first answer given stays the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.domain.task import Task, TaskState
from app.errors import StoreForeign
from app.store.keys import Shard, windows
from app.store.task_steps import Accepted
from tests.store.shelf import PRICE, Shelf, vendor_id_of
from tests.support.contents import everything

KEY = "1" * 64

End = Callable[[Shelf, Task], Awaitable[None]]


ACCEPTED = b'{"status":"pending","accepted":"yes"}'


async def test_an_accepted_task_is_followed_from_now_on(shelf: Shelf) -> None:
    """It knows its vendor id and key, is due for its first read, and needs no body any more."""
    task = await shelf.admit(await shelf.caller())
    shard = Shard.of("acme")
    shelf.clock.advance_ms(700)

    await shelf.accept(task, poll_at_ms=shelf.clock.now_ms() + 15_000)

    accepted = await shelf.reload(task)
    assert accepted.state is TaskState.SUBMITTED
    assert accepted.version == task.version + 1
    assert accepted.vendor_id == vendor_id_of(task)
    assert accepted.vendor_key_id == "vk_000000000000"
    assert accepted.submitted_ms == shelf.clock.now_ms()
    assert await shelf.redis.zscore(shard.polls, task.id) == shelf.clock.now_ms() + 15_000
    assert await shelf.redis.zscore(shard.sends, task.id) is None
    assert await shelf.redis.exists(shard.request(task.id)) == 0


async def test_an_accepted_task_keeps_its_slots_and_has_no_expiry(shelf: Shelf) -> None:
    """Accepted is not finished: it counts as in flight, and nothing of it may vanish."""
    caller = await shelf.caller(tasks_in_flight=1)
    task = await shelf.admit(caller)

    await shelf.accept(task)

    shard = Shard.of("acme")
    assert await shelf.attempt(caller) == "too_many_in_flight"
    assert await shelf.redis.pexpiretime(shard.task(task.id)) == -1
    assert await shelf.redis.pexpiretime(shard.ledger(task.id)) == -1


@pytest.mark.parametrize(
    ("named", "booked"),
    [
        (PRICE, [("hold", PRICE)]),
        (PRICE + 30_000, [("hold", PRICE), ("adjust", 30_000)]),
        (PRICE - 30_000, [("hold", PRICE), ("adjust", -30_000)]),
        (0, [("hold", PRICE), ("adjust", -PRICE)]),
        (8_999_999_999_999_999, [("hold", PRICE), ("adjust", 8_999_999_999_899_999)]),
    ],
)
async def test_the_vendors_own_hold_takes_the_place_of_ours(
    shelf: Shelf, named: int, booked: list[tuple[str, int]]
) -> None:
    """The difference is booked to the microcredit, for tenant and key, in day and month."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)

    await shelf.accept(task, held_microcredits=named)

    assert await shelf.money(task) == booked
    assert (await shelf.reload(task)).held_microcredits == named
    for window in windows(shelf.clock.now_ms()):
        figures = await shelf.figures(caller, window)
        assert (figures["held"], figures[f"held:{caller.key_id}"]) == (named, named)


async def test_a_bigger_hold_counts_against_the_limit_at_once(shelf: Shelf) -> None:
    """The limit may be passed by it, since the vendor holds it anyway; the next create waits."""
    caller = await shelf.caller(credits_per_day="0.3")
    task = await shelf.admit(caller)

    await shelf.accept(task, held_microcredits=3 * PRICE)

    assert await shelf.attempt(caller) == "credit_exhausted"


@pytest.mark.parametrize("idempotency", ["", KEY])
async def test_accepting_again_changes_nothing(shelf: Shelf, idempotency: str) -> None:
    """A repetition after a lost reply gets the same answer and books nothing twice."""
    task = await shelf.admit(await shelf.caller(), idempotency=idempotency)
    first = await shelf.accept(task, held_microcredits=PRICE + 1)
    untouched = await everything(shelf.redis)

    second = await shelf.accept(
        task, held_microcredits=PRICE + 1, body=b'{"status":"pending","another":true}'
    )

    assert second == first
    assert await everything(shelf.redis) == untouched


async def test_of_fifty_at_once_one_is_booked_and_all_say_the_same(shelves: list[Shelf]) -> None:
    """However many try to record the vendor's yes, it is recorded once."""
    shelf = shelves[0]
    task = await shelf.admit(await shelf.caller(), idempotency=KEY)

    answers = await asyncio.gather(
        *(
            shelves[n % 3].accept(
                task, held_microcredits=PRICE + 5, body=b'{"status":"pending","n":%d}' % n
            )
            for n in range(50)
        )
    )

    assert len(set(answers)) == 1
    assert await shelf.money(task) == [("hold", PRICE), ("adjust", 5)]
    assert (await shelf.reload(task)).version == task.version + 1


@pytest.mark.parametrize("idempotency", ["", KEY])
async def test_a_yes_that_comes_after_the_doubt_ends_it(shelf: Shelf, idempotency: str) -> None:
    """An engine gave the send up, then its answer came: the task is followed like any other."""
    task = await shelf.admit(await shelf.caller(), idempotency=idempotency)
    await shelf.move(task, TaskState.IN_DOUBT, due_ms=shelf.clock.now_ms())

    answer = await shelf.accept(task, body=ACCEPTED)

    shard = Shard.of("acme")
    assert answer == ACCEPTED
    assert (await shelf.reload(task)).state is TaskState.SUBMITTED
    assert await shelf.redis.zscore(shard.doubts, task.id) is None
    assert await shelf.redis.zscore(shard.polls, task.id) is not None


async def test_an_answer_given_in_the_meantime_stays_the_answer(shelf: Shelf) -> None:
    """The caller was told `pending` in time; replays must never say anything else."""
    caller = await shelf.caller()
    task = await shelf.admit(caller, idempotency=KEY)
    given = await shelf.tasks.remember(caller, task.id, KEY)

    answer = await shelf.accept(task, body=ACCEPTED)

    assert answer == given == task.body
    assert (await shelf.reload(task)).body == ACCEPTED


async def _completed(shelf: Shelf, task: Task) -> None:
    await shelf.accept(task)
    await shelf.move(await shelf.reload(task), TaskState.COMPLETED, charged=PRICE)


async def _failed(shelf: Shelf, task: Task) -> None:
    await shelf.accept(task)
    await shelf.move(await shelf.reload(task), TaskState.FAILED)


@pytest.mark.parametrize("end", [_completed, _failed])
async def test_a_finished_task_is_not_accepted_back_to_life(shelf: Shelf, end: End) -> None:
    """A final state never changes, whoever still believes that the task is being sent."""
    task = await shelf.admit(await shelf.caller(), idempotency=KEY)
    await end(shelf, task)
    untouched = await everything(shelf.redis)

    await shelf.accept(task, held_microcredits=9 * PRICE, body=b'{"status":"pending","late":true}')

    assert await everything(shelf.redis) == untouched


async def test_a_task_that_is_gone_is_not_acknowledged(shelf: Shelf) -> None:
    """The store was emptied since the admission: nothing is written, and nobody is told 200."""
    task = await shelf.admit(await shelf.caller(), idempotency=KEY)
    await shelf.redis.flushdb()

    with pytest.raises(StoreForeign):
        await shelf.accept(task)

    assert await everything(shelf.redis) == {}


async def test_a_task_that_was_refused_is_not_acknowledged(shelf: Shelf) -> None:
    """Nobody was told its id, so nobody is told it now."""
    task = await shelf.admit(await shelf.caller(), idempotency=KEY)
    await shelf.move(task, TaskState.REJECTED)

    taken = await shelf.tasks.accept(task, shelf.acceptance(task), now_ms=shelf.clock.now_ms())

    assert taken == Accepted(b"", too_late=True)
