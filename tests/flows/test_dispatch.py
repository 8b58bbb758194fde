"""Queued tasks: sent in order as slots come free, held while the vendor is away, never twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app import failpoints
from app.store.keys import Shard
from app.store.tasks import QUEUE_LOOK_MS
from tests.conftest import OpenBed
from tests.flows.watching import comes_to, sends_end, task_in
from tests.support.bed import Bed, character
from tests.support.tenant_keys import act, revoke
from tests.support.vendor import Vendor

PRICE = 100_000
LOOK_S = QUEUE_LOOK_MS / 1000
RETRY_S = 10
ONE_SLOT = {"tasks_in_flight": 1, "when_full": "queue"}
BRIEF = character("seconds:1")
LONG = character("seconds:900")


def numbered(number: int, scenario: str = "seconds:1") -> dict[str, Any]:
    """Return a create body that can be told from others in the vendor's journal."""
    return character(scenario, timestamps=f"{number},{number + 1}")


def order_at(vendor: Vendor) -> list[int]:
    """Return the numbers of the creates that reached the vendor, in order."""
    return [int(entry["body"]["timestamps"].split(",")[0]) for entry in vendor.creates()]


async def sent_now(bed: Bed) -> None:
    """Let everything go out that can go now."""
    await bed.work()
    await sends_end(bed)


async def state_of(bed: Bed, task_id: str) -> str:
    """Return the state of a task."""
    return (await bed.stored(task_id))["state"]


async def shown(bed: Bed, key: str, task_id: str) -> dict[str, Any]:
    """Return what a task shows to its tenant."""
    answer = await bed.read(key, task_id)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_queued_create_is_answered_at_once_and_sent_when_its_turn_comes(bed: Bed) -> None:
    """`pending` with its place in the line; then it goes the way of every task."""
    key = await bed.key(**ONE_SLOT)
    await bed.created(key, BRIEF)
    answer = await bed.create(key, BRIEF)

    task_id = task_in(answer)
    before = await shown(bed, key, task_id)
    await bed.pass_time(2)
    await sent_now(bed)
    sent = await shown(bed, key, task_id)
    await bed.pass_time(2)

    assert answer.json()["status"] == before["status"] == sent["status"] == "pending"
    assert answer.json()["task_info"] == before["task_info"]
    assert before["task_info"]["queue_position"] == 1
    assert before["task_info"]["can_cancel"] is True
    assert sent["task_info"]["can_cancel"] is False
    assert "queue_position" not in sent["task_info"]
    assert (await shown(bed, key, task_id))["status"] == "completed"
    assert len(bed.vendor.creates()) == 2


async def test_tasks_of_a_tenant_go_out_in_the_order_they_came(bed: Bed) -> None:
    """One slot, six tasks: each waits for those before it."""
    key = await bed.key(**ONE_SLOT)
    for number in range(6):
        await bed.created(key, numbered(number))

    for _ in range(6):
        await bed.pass_time(2)
        await sent_now(bed)

    assert order_at(bed.vendor) == list(range(6))


async def test_as_many_go_at_once_as_there_are_slots(bed: Bed) -> None:
    """Three slots come free together: three of those that wait go, no more."""
    key = await bed.key(tasks_in_flight=3, when_full="queue")
    for number in range(8):
        await bed.created(key, numbered(number))

    await bed.pass_time(2)
    await sent_now(bed)

    assert sorted(order_at(bed.vendor)) == list(range(6))
    assert await bed.gateway.store.redis.scard(Shard.of("acme").slots("acme", "live")) == 3


async def test_a_key_without_slots_keeps_no_other_key_waiting(bed: Bed) -> None:
    """However many of its tasks stand in front, another key's first goes past them."""
    first = await bed.key(when_full="queue")
    full_key = await bed.another_key("acme", tasks_in_flight=1)
    for number in range(40):
        await bed.created(full_key, numbered(number, "seconds:900"))

    for number in (100, 101):
        await bed.created(first, numbered(number, "seconds:900"))
    await sent_now(bed)

    assert order_at(bed.vendor) == [0, 100, 101]


async def test_within_one_key_nobody_goes_past(bed: Bed) -> None:
    """Tasks of the full key itself keep their order when its slot comes free."""
    other = await bed.key(when_full="queue")
    full_key = await bed.another_key("acme", tasks_in_flight=1)
    for number in (1, 2, 3):
        await bed.created(full_key, numbered(number))
    await bed.created(other, numbered(9, "seconds:900"))
    await sent_now(bed)

    for _ in range(3):
        await bed.pass_time(2)
        await sent_now(bed)

    assert order_at(bed.vendor) == [1, 9, 2, 3]


async def test_a_limit_that_was_raised_is_seen_within_one_look(bed: Bed) -> None:
    """Nothing wakes the queue then; it is looked at every ten seconds anyway."""
    key = await bed.key(**ONE_SLOT)
    for number in range(3):
        await bed.created(key, numbered(number, "seconds:900"))
    await bed.limit("acme", tasks_in_flight=None)

    await bed.pass_time(LOOK_S)
    await sent_now(bed)

    assert order_at(bed.vendor) == [0, 1, 2]


async def test_a_refusal_after_the_answer_is_a_failed_task(bed: Bed) -> None:
    """The caller was told 200, so the vendor's no is read from the task; it costs nothing."""
    key = await bed.key(**ONE_SLOT)
    await bed.created(key, BRIEF)
    task_id = await bed.created(key, BRIEF)
    later = await bed.created(key, BRIEF)
    bed.vendor.fault("status", times=1, status=400, message="no such video")

    await bed.pass_time(2)
    await sent_now(bed)

    refused = await shown(bed, key, task_id)
    assert refused["status"] == "failed"
    assert refused["error"]["code"] == "invalid_parameters"
    assert refused["task_info"]["can_cancel"] is False
    assert await state_of(bed, later) == "submitted"
    assert (await bed.usage())["settled"] == (await bed.usage())["held"] == PRICE


async def test_a_create_that_finds_the_vendor_full_waits_in_its_place(bed: Bed) -> None:
    """200 and `pending` with a position; later creates line up behind, and all go out in order."""
    key = await bed.key(when_vendor_down="queue")
    bed.vendor.fault("status", status=429, retry_after=1)

    answers = [await bed.create(key, numbered(number)) for number in range(3)]
    refused = order_at(bed.vendor)
    bed.vendor.heal()
    await bed.pass_time(RETRY_S)
    await sent_now(bed)

    told = [answer.json() for answer in answers]
    assert [each["status"] for each in told] == ["pending"] * 3
    assert [each["task_info"]["queue_position"] for each in told] == [1, 2, 3]
    assert all(each["task_info"]["can_cancel"] for each in told)
    assert (refused, order_at(bed.vendor)) == ([0], [0, 0, 1, 2])


async def test_a_vendor_that_stays_away_is_tried_now_and_then(bed: Bed) -> None:
    """One tenant's first task tries for all, ever more seldom; its place is kept through it."""
    key = await bed.key(when_vendor_down="queue", tasks_in_flight=1)
    bed.vendor.fault("status", status=429, retry_after=1)
    ids = [await bed.created(key, numbered(number)) for number in range(3)]

    for _ in range(4):
        await bed.pass_time(610)
        await sent_now(bed)

    assert order_at(bed.vendor) == [0] * 5
    places = [(await shown(bed, key, each))["task_info"]["queue_position"] for each in ids]
    assert places == [1, 2, 3]
    assert (await bed.usage())["held"] == 3 * PRICE


async def test_a_replay_of_a_create_that_was_put_back_is_the_first_answer(bed: Bed) -> None:
    """Byte for byte, also once it has been sent."""
    key = await bed.key(when_vendor_down="queue")
    bed.vendor.fault("status", times=1, status=429, retry_after=1)
    first = await bed.create(key, idempotency_key="one")

    waiting = await bed.create(key, idempotency_key="one")
    await bed.pass_time(RETRY_S)
    await sent_now(bed)
    sent = await bed.create(key, idempotency_key="one")

    assert first.json()["task_info"]["queue_position"] == 1
    assert waiting.content == sent.content == first.content
    assert len(bed.vendor.creates()) == 2


async def test_a_tenant_that_does_not_queue_is_told_that_the_vendor_is_away(bed: Bed) -> None:
    """`when_full: queue` alone holds nothing for a vendor that refuses."""
    key = await bed.key(**ONE_SLOT)
    bed.vendor.fault("status", times=1, status=429)

    answer = await bed.create(key)

    assert answer.status_code == 503
    assert answer.json()["error"]["reason"] == "no_vendor_capacity"
    assert (await bed.usage())["held"] == 0


async def test_a_sender_that_dies_at_the_dispatch_leaves_a_doubt(bed: Bed) -> None:
    """Nobody can tell whether it left: it is not sent again, and keeps hold and slot."""
    key = await bed.key(**ONE_SLOT)
    await bed.created(key, BRIEF)
    task_id = await bed.created(key, BRIEF)
    failpoints.arm({"dispatch.taken": "raise"})
    await bed.pass_time(2)
    failpoints.arm({})

    taken = await state_of(bed, task_id)
    await bed.pass_time(300)

    assert taken == "sending"
    assert await state_of(bed, task_id) == "in_doubt"
    assert (await bed.usage())["held"] == PRICE
    assert len(bed.vendor.creates()) == 1


async def test_one_stumble_costs_other_tenants_of_the_shard_nothing(bed: Bed) -> None:
    """What a round did not come to is still due, and the next round does it."""
    names = [f"team-{n}" for n in range(200) if Shard.of(f"team-{n}") == Shard.of("team-0")][:4]
    keys = [await bed.key(name, **ONE_SLOT) for name in names]
    for _ in range(2):
        for key in keys:
            await bed.created(key, BRIEF)
    failpoints.arm({"dispatch.taken": "raise"})
    bed.clock.advance_ms(2000)
    bed.vendor.pass_time(2)
    await bed.gateway.engine.round()
    await bed.gateway.engine.round()
    failpoints.arm({})

    await sent_now(bed)

    assert len(bed.vendor.creates()) == 7


@pytest.mark.parametrize("fate", ["disabled", "deleted", "key revoked"])
async def test_whoever_is_shut_out_has_nothing_sent(bed: Bed, fate: str) -> None:
    """Of a disabled tenant they wait; else they are called off, and their holds released."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    await bed.created(key, BRIEF)
    ids = [await bed.created(key, BRIEF) for _ in range(3)]
    if fate == "disabled":
        await bed.switch("acme", disabled=True)
    elif fate == "key revoked":
        key_id, at_ms = (await bed.stored(ids[0]))["key"], bed.clock.now_ms()
        await revoke(bed.gateway.store.keys, "acme", key_id, at_ms=at_ms)
    else:
        deleted = act("acme", at_ms=bed.clock.now_ms(), name="tenant.deleted")
        await bed.gateway.store.tenants.delete("acme", force=True, act=deleted)

    await bed.pass_time(60)
    await sent_now(bed)

    expected = "queued" if fate == "disabled" else "cancelled"
    assert [await state_of(bed, each) for each in ids] == [expected] * 3
    assert (await bed.usage())["held"] == (3 * PRICE if fate == "disabled" else 0)
    assert len(bed.vendor.creates()) == 1


async def test_three_engines_send_each_queued_task_once(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Whichever takes it; never more at once than the tenant has slots."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed()) for _ in range(3)]
        key = await beds[0].key(tasks_in_flight=4, when_full="queue")
        for number in range(20):
            await beds[number % 3].created(key, numbered(number))

        for _ in range(4):
            beds[0].clock.advance_ms(2000)
            vendor.pass_time(2)
            await asyncio.gather(*(bed.work() for bed in beds))
            for bed in beds:
                await sends_end(bed)

        assert sorted(order_at(vendor)) == list(range(20))


async def test_a_full_process_keeps_everybody_in_the_line(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """With no room for one more send a queue is not passed over: it is served as room comes."""
    async with open_gateway_bed(vendor={"max_in_flight": 1}) as bed:
        key = await bed.key(**ONE_SLOT)
        for number in range(3):
            await bed.created(key, numbered(number, "seconds:900"))
        await bed.limit("acme", tasks_in_flight=None)
        vendor.fault("delay", ms=300)
        bed.clock.advance_ms(QUEUE_LOOK_MS)

        await sent_now(bed)

        assert order_at(vendor) == [0, 1, 2]


async def test_a_long_queue_costs_another_tenant_one_dispatch(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Behind 1,000 tasks of each of two busy teams a third team's first is sent third at most."""
    async with (
        open_gateway_bed() as desk,
        open_gateway_bed(vendor={"max_in_flight": 1}) as bed,
    ):
        names = [f"team-{n}" for n in range(200) if Shard.of(f"team-{n}") == Shard.of("team-0")][:3]
        keys = [await bed.key(name, tasks_in_flight=0, when_full="queue") for name in names]
        busy = numbered(0, "seconds:900")
        for _ in range(40):
            await asyncio.gather(*(desk.created(key, busy) for key in keys[:2] for _ in range(25)))
        await desk.created(keys[2], numbered(1, "seconds:900"))
        for name in names:
            await bed.limit(name, tasks_in_flight=2000)
        bed.clock.advance_ms(QUEUE_LOOK_MS)

        await bed.gateway.engine.round()
        await sends_end(bed)

        assert sorted(order_at(vendor)) == [0, 0, 1]


async def test_a_task_that_was_sent_is_doubted_like_any_other(bed: Bed) -> None:
    """An ambiguous answer to a queued task's send keeps it, and nothing is sent again."""
    key = await bed.key(when_full="queue", when_vendor_down="queue", tasks_in_flight=1)
    await bed.created(key, BRIEF)
    task_id = await bed.created(key, LONG)
    bed.vendor.fault("commit_then_close", times=1)

    await bed.pass_time(2)
    await comes_to(bed, task_id, "in_doubt")
    await bed.pass_time(300)
    await sent_now(bed)

    assert await state_of(bed, task_id) == "in_doubt"
    assert len(bed.vendor.creates()) == 2
