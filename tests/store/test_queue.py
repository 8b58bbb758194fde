"""The queue's scripts: who waits, who goes next, and who keeps which place."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.errors import StoreForeign, TooManyInFlight
from app.store.identity import StoreIdentity
from app.store.keys import Shard
from app.store.task_queue import Dispatched, TaskQueue
from app.store.task_record import QueueName
from app.store.tasks import QUEUE_LOOK_MS
from tests.store.shelf import PRICE, RECOVER_MS, Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act


async def full(shelf: Shelf, tenant_id: str = "acme", **limits: Any) -> tuple[Caller, Task]:
    """Return a caller of a tenant that queues, and the task that has its only slot."""
    given = {"tasks_in_flight": 1, "when_full": "queue", **limits}
    caller = await shelf.caller(tenant_id, **given)
    return caller, await shelf.admit(caller)


async def ends(shelf: Shelf, task: Task) -> None:
    """End a task that is being sent: its slot is free."""
    assert await shelf.move(await shelf.reload(task), TaskState.REJECTED)


async def test_a_create_over_the_slots_waits_and_holds_its_price(shelf: Shelf) -> None:
    """A queued task has taken all but a slot and a vendor key."""
    caller, running = await full(shelf)

    task = await shelf.queued(caller, request_body='{"n":1.50}')

    shard = Shard.of("acme")
    assert (task.state, task.vendor_key_id, task.held_microcredits) == ("queued", "", PRICE)
    assert await shelf.money(task) == [("hold", PRICE)]
    assert await shelf.redis.get(shard.request(task.id)) == b'{"n":1.50}'
    assert await shelf.redis.smembers(shard.slots("acme", "live")) == {running.id.encode()}
    assert await shelf.redis.zscore(shard.sends, task.id) is None
    assert await shelf.line(caller) == [task.id]
    assert await shelf.next_look_ms(caller) == QUEUE_LOOK_MS


async def test_whoever_comes_later_waits_further_back(shelf: Shelf) -> None:
    """Positions count from one, and admission tells them."""
    caller, _ = await full(shelf)
    offers = [shelf.new(caller) for _ in range(4)]

    admissions = [await shelf.tasks.admit(new, now_ms=shelf.clock.now_ms()) for new in offers]

    assert [getattr(each, "position", None) for each in admissions] == [1, 2, 3, 4]
    assert await shelf.line(caller) == [new.id for new in offers]


async def test_a_free_slot_does_not_let_a_new_task_overtake(shelf: Shelf) -> None:
    """Who waits goes first: the next create queues behind, and the queue is looked at now."""
    caller, running = await full(shelf)
    first = await shelf.queued(caller)
    await ends(shelf, running)
    shelf.clock.advance_ms(1)

    second = await shelf.queued(caller)

    assert await shelf.line(caller) == [first.id, second.id]
    assert await shelf.next_look_ms(caller) == 0


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_the_queue_holds_as_many_as_the_tenant_allows(shelf: Shelf, most: int) -> None:
    """Beyond that a create is refused and changes nothing."""
    caller, _ = await full(shelf, max_queued=most)
    passed = [await shelf.attempt(caller) for _ in range(most)]
    untouched = await everything(shelf.redis)

    refused = await shelf.attempt(caller, idempotency="i" * 64)

    assert (passed, refused) == (["queued"] * most, "queue_full")
    assert await everything(shelf.redis) == untouched


async def test_a_place_that_came_free_can_be_taken(shelf: Shelf) -> None:
    """The bound counts who waits now, not who ever did."""
    caller, running = await full(shelf, max_queued=1)
    task = await shelf.queued(caller)
    await ends(shelf, running)
    assert await shelf.dispatch(task) == "dispatched"

    outcomes = [await shelf.attempt(caller) for _ in range(2)]

    assert outcomes == ["queued", "queue_full"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"creates_per_minute": 1}, "rate_limited"),
        ({"credits_per_day": "0.1"}, "credit_exhausted"),
        ({"models": ["sora-character"]}, "model_not_allowed"),
    ],
)
async def test_waiting_is_no_way_around_the_other_limits(
    shelf: Shelf, limits: dict[str, Any], reason: str
) -> None:
    """Rate, credits and models are checked at admission, whether a task waits or not."""
    caller, _ = await full(shelf, **limits)

    outcome = await shelf.attempt(caller, model="sora-2")

    assert outcome == reason


async def test_only_tenants_that_ask_for_it_wait(shelf: Shelf) -> None:
    """Without `when_full: queue` a full tenant is refused as ever."""
    caller, _ = await full(shelf, when_full="reject")

    with pytest.raises(TooManyInFlight):
        await shelf.queued(caller)

    assert await shelf.line(caller) == []


async def test_a_key_without_a_slot_waits_like_a_tenant_without_one(shelf: Shelf) -> None:
    """The key's limit and the tenant's word about queueing work together."""
    first = await shelf.caller(when_full="queue")
    second = await shelf.colleague(first, tasks_in_flight=1)
    await shelf.admit(second)

    task = await shelf.queued(second)

    assert await shelf.dispatch(task) == "key_full"
    assert await shelf.line(second) == [task.id]


async def test_a_dispatch_takes_slots_and_hands_over_the_request(shelf: Shelf) -> None:
    """The task is being sent by whoever took it, and comes due as a doubt should that one die."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller, request_body='{"n":1.50}')
    await ends(shelf, running)

    taken = await shelf.queue.dispatch(
        task,
        body=b"{}",
        vendor_key_id="vk_1",
        recover_ms=shelf.clock.now_ms() + RECOVER_MS,
        taker="t",
        now_ms=shelf.clock.now_ms(),
    )

    shard, now = Shard.of("acme"), await shelf.reload(task)
    assert taken == Dispatched('{"n":1.50}')
    assert (now.state, now.version, now.vendor_key_id) == ("sending", task.version + 1, "vk_1")
    assert await shelf.redis.zscore(shard.sends, task.id) == shelf.clock.now_ms() + RECOVER_MS
    for slots in (shard.slots("acme", "live"), shard.slots("acme", "live", caller.key_id)):
        assert await shelf.redis.smembers(slots) == {task.id.encode()}
    assert await shelf.line(caller) == []
    assert await shelf.next_look_ms(caller) is None


async def test_a_full_tenant_dispatches_nothing(shelf: Shelf) -> None:
    """A look that finds no slot leaves everything as it was."""
    caller, _ = await full(shelf)
    task = await shelf.queued(caller)
    untouched = await everything(shelf.redis)

    outcome = await shelf.dispatch(task)

    assert outcome == "tenant_full"
    assert await everything(shelf.redis) == untouched


async def test_a_task_is_dispatched_once(shelf: Shelf) -> None:
    """Whoever looked before somebody else took it gets nothing."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    await shelf.limit("acme", tasks_in_flight=9)
    await ends(shelf, running)
    first = await shelf.dispatch(task)
    untouched = await everything(shelf.redis)

    again = [await shelf.dispatch(task), await shelf.dispatch(await shelf.reload(task))]

    assert [first, *again] == ["dispatched", "gone", "gone"]
    assert await everything(shelf.redis) == untouched


async def test_a_dispatch_whose_reply_was_lost_may_be_repeated(shelf: Shelf) -> None:
    """The same taker is told again that the task is its own; nothing moves a second time."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    await ends(shelf, running)
    first = await shelf.dispatch(task, taker="mine")
    untouched = await everything(shelf.redis)

    repeated = await shelf.dispatch(task, taker="mine")
    foreign = await shelf.dispatch(task, taker="another")

    assert [first, repeated, foreign] == ["dispatched", "dispatched", "gone"]
    assert await everything(shelf.redis) == untouched


async def test_a_taker_that_was_given_up_gets_nothing(shelf: Shelf) -> None:
    """Once an engine called the send doubtful, the taker's late repeat may not send."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    await ends(shelf, running)
    await shelf.dispatch(task, taker="mine")
    await shelf.move(await shelf.reload(task), TaskState.IN_DOUBT)

    outcome = await shelf.dispatch(task, taker="mine")

    assert outcome == "gone"


async def test_a_requeued_task_keeps_its_place(shelf: Shelf) -> None:
    """It was first, so it is first again; its slots are free and its queue rests a while."""
    caller, running = await full(shelf, when_vendor_down="queue")
    tasks = [await shelf.queued(caller) for _ in range(3)]
    await ends(shelf, running)
    await shelf.dispatch(tasks[0])

    position = await shelf.requeue(await shelf.reload(tasks[0]), wait_ms=7_000)

    back = await shelf.reload(tasks[0])
    assert position == 1
    assert (back.state, back.vendor_key_id) == ("queued", "")
    assert await shelf.line(caller) == [task.id for task in tasks]
    assert await shelf.redis.exists(Shard.of("acme").slots("acme", "live")) == 0
    assert await shelf.next_look_ms(caller) == 7_000


async def test_a_task_that_never_waited_has_its_place_by_its_admission(shelf: Shelf) -> None:
    """Sent at once and put back later, it stands before all that came after it."""
    caller, running = await full(shelf, when_vendor_down="queue")
    later = [await shelf.queued(caller) for _ in range(2)]

    position = await shelf.requeue(running)

    assert position == 1
    assert await shelf.line(caller) == [running.id, *(task.id for task in later)]


async def test_requeueing_may_be_repeated(shelf: Shelf) -> None:
    """A reply that was lost is given again, and nothing moves a second time."""
    caller, running = await full(shelf, when_vendor_down="queue")
    await shelf.requeue(running)
    untouched = await everything(shelf.redis)

    repeated = await shelf.requeue(running)

    assert repeated == 1
    assert await everything(shelf.redis) == untouched
    assert await shelf.line(caller) == [running.id]


@pytest.mark.parametrize("then", ["dispatched", "cancelled", "doubted"])
async def test_a_late_repeat_of_a_requeue_disturbs_nobody(shelf: Shelf, then: str) -> None:
    """The task has gone on from its queue: that is no refusal, and nothing is changed."""
    _, running = await full(shelf, when_vendor_down="queue")
    await shelf.requeue(running, wait_ms=0)
    queued = await shelf.reload(running)
    if then == "cancelled":
        await shelf.move(queued, TaskState.CANCELLED)
    else:
        await shelf.dispatch(queued)
    if then == "doubted":
        await shelf.move(await shelf.reload(running), TaskState.IN_DOUBT)
    untouched = await everything(shelf.redis)

    outcome = await shelf.requeue(running)

    assert outcome == 0
    assert await everything(shelf.redis) == untouched


async def test_only_a_tenant_that_wants_it_gets_a_task_back(shelf: Shelf) -> None:
    """`when_full: queue` is no word about a vendor that is away."""
    _, running = await full(shelf)
    untouched = await everything(shelf.redis)

    outcome = await shelf.requeue(running)

    assert outcome is None
    assert await everything(shelf.redis) == untouched


async def test_a_task_called_doubtful_is_not_put_back(shelf: Shelf) -> None:
    """Its sender, which knows better, ends it instead."""
    _, running = await full(shelf, when_vendor_down="queue")
    await shelf.move(running, TaskState.IN_DOUBT)

    outcome = await shelf.requeue(running)

    assert outcome is None
    assert (await shelf.reload(running)).state is TaskState.IN_DOUBT


async def test_a_disabled_tenants_tasks_wait_until_it_is_enabled(shelf: Shelf) -> None:
    """Nothing of it is sent meanwhile, and nothing is lost."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    await ends(shelf, running)
    await shelf.switch("acme", disabled=True)

    paused = await shelf.dispatch(task)

    await shelf.switch("acme", disabled=False)
    assert [paused, await shelf.dispatch(task)] == ["paused", "dispatched"]


async def test_a_deleted_tenants_tasks_are_never_sent(shelf: Shelf) -> None:
    """They can only be called off, with their hold released."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    await ends(shelf, running)
    deleted = act("acme", at_ms=0, name="tenant.deleted")
    await shelf.tenants.delete("acme", force=True, act=deleted)

    outcome = await shelf.dispatch(task)

    assert outcome == "ended"
    assert await shelf.move(task, TaskState.CANCELLED)
    assert await shelf.money(task) == [("hold", PRICE), ("release", PRICE)]
    assert await shelf.line(caller) == []


@pytest.mark.parametrize("step", ["dispatch", "requeue"])
async def test_a_store_of_another_epoch_moves_no_queue(shelf: Shelf, step: str) -> None:
    """A process that was set up with another store is refused before anything is looked at."""
    caller, running = await full(shelf, when_vendor_down="queue")
    waiting = await shelf.queued(caller)
    untouched = await everything(shelf.redis)
    shelf.queue = TaskQueue(shelf.redis, StoreIdentity(shelf.redis, "0" * 32))

    with pytest.raises(StoreForeign):
        await (shelf.dispatch(waiting) if step == "dispatch" else shelf.requeue(running))

    assert await everything(shelf.redis) == untouched


async def test_an_empty_queue_is_looked_at_no_more(shelf: Shelf) -> None:
    """One that has somebody in it stays on the schedule."""
    caller, _ = await full(shelf)
    task = await shelf.queued(caller)
    name = QueueName("acme", "live")

    await shelf.queue.leave(name)
    kept = await shelf.next_look_ms(caller)
    await shelf.move(task, TaskState.CANCELLED)
    await shelf.queue.leave(name)

    assert kept == QUEUE_LOOK_MS
    assert await shelf.next_look_ms(caller) is None


async def test_modes_of_a_tenant_wait_in_queues_of_their_own(shelf: Shelf) -> None:
    """A live queue keeps no test task waiting."""
    caller, _ = await full(shelf)
    await shelf.queued(caller)
    tester = await shelf.caller("acme", mode="test")

    task = await shelf.admit(tester)

    assert task.state is TaskState.SENDING
    assert await shelf.line(tester) == []
