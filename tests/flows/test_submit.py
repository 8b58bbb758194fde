"""Creates: answered in time, once per key, within every limit, whatever becomes of the caller."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr
from redis import Redis as BlockingRedis

from app import failpoints
from app.store.tasks import IDEMPOTENCY_LEASE_MS
from tests.conftest import OpenBed
from tests.flows.watching import comes_to, reaches, reason_of, sends_end, task_in
from tests.support.bed import Bed, character
from tests.support.contents import everything
from tests.support.vendor import Vendor

TINY_S = 0.05


async def test_a_create_is_answered_in_time_while_its_send_goes_on(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """The vendor is slow: the caller gets `pending`, and a little later the task is followed."""
    async with open_gateway_bed(create_answer_s=TINY_S) as bed:
        key = await bed.key()
        vendor.fault("delay", ms=600)

        answer = await bed.create(key)

        task_id = task_in(answer)
        assert answer.json()["status"] == "pending"
        assert (await bed.stored(task_id))["state"] == "sending"
        await comes_to(bed, task_id, "submitted")
        assert (await bed.read(key, task_id)).json()["status"] == "pending"
        assert len(vendor.creates()) == 1


async def test_the_answer_given_in_time_is_replayed_after_the_vendors(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """The first answer stays byte for byte, also once the vendor's own answer is known."""
    async with open_gateway_bed(create_answer_s=TINY_S) as bed:
        key = await bed.key()
        vendor.fault("delay", ms=300, times=1)
        first = await bed.create(key, idempotency_key="one")
        await comes_to(bed, task_in(first), "submitted")

        replay = await bed.create(key, idempotency_key="one")

        assert replay.content == first.content
        assert replay.headers["idempotency-replayed"] == "true"


async def test_a_caller_who_hangs_up_changes_nothing(bed: Bed, vendor: Vendor) -> None:
    """The send is neither cut off nor lost: the vendor's answer is recorded as if heard."""
    key = await bed.key()
    vendor.fault("delay", ms=600)

    async with asyncio.TaskGroup() as callers:
        caller = callers.create_task(bed.create(key, idempotency_key="one"))
        await reaches(vendor)
        caller.cancel()

    await sends_end(bed)
    replay = await bed.create(key, idempotency_key="one")
    assert caller.cancelled()
    assert (await bed.stored(task_in(replay)))["state"] == "submitted"
    assert len(vendor.creates()) == 1


async def test_callers_who_hang_up_at_any_moment_leave_whole_tasks(
    bed: Bed, vendor: Vendor
) -> None:
    """Each create is wholly there or was never begun, and each begun one reached the vendor."""
    key = await bed.key()
    vendor.fault("delay", ms=20)

    async with asyncio.TaskGroup() as callers:
        for turns in range(60):
            caller = callers.create_task(bed.create(key))
            for _ in range(turns):
                await asyncio.sleep(0)
            caller.cancel()

    await sends_end(bed)
    usage, sent = await bed.usage(), len(vendor.creates())
    assert 0 < sent < 60
    assert (usage["tasks"], usage["held"]) == (sent, sent * 100_000)


async def test_a_repeated_create_is_one_create(bed: Bed, vendor: Vendor) -> None:
    """The same key and body again and again, before and after the end: one task, one answer."""
    key = await bed.key()
    first = await bed.create(key, character("seconds:2"), idempotency_key="one")

    replays = [await bed.create(key, character("seconds:2"), idempotency_key="one")]
    await bed.pass_time(5)
    replays.append(await bed.create(key, character("seconds:2"), idempotency_key="one"))

    assert {replay.content for replay in replays} == {first.content}
    assert {replay.headers["idempotency-replayed"] for replay in replays} == {"true"}
    assert "idempotency-replayed" not in first.headers
    assert len(vendor.creates()) == 1


async def test_another_body_under_the_same_key_is_a_conflict(bed: Bed, vendor: Vendor) -> None:
    """It is refused, the vendor is not asked, and the first create is as it was."""
    key = await bed.key()
    first = await bed.create(key, idempotency_key="one")

    other = await bed.create(key, character("seconds:9"), idempotency_key="one")
    spelled_apart = await bed.http.post(
        "/v1/videos/generations",
        content=b'{"timestamps": "1,3", "video_url": "https:\\/\\/example.com/video.mp4",'
        b' "model": "sora-character"}',
        headers={
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "idempotency-key": "one",
        },
    )

    assert other.status_code == 409
    assert reason_of(other) == "idempotency_conflict"
    assert spelled_apart.content == first.content
    assert len(vendor.creates()) == 1


async def test_a_create_that_is_still_running_is_not_run_twice(bed: Bed, vendor: Vendor) -> None:
    """A copy that comes while the first is on its way is told to wait, and gets the answer then."""
    key = await bed.key()
    vendor.fault("delay", ms=500, times=1)

    async with asyncio.TaskGroup() as callers:
        first = callers.create_task(bed.create(key, idempotency_key="one"))
        await reaches(vendor)
        copy = await bed.create(key, idempotency_key="one")

    assert copy.status_code == 409
    assert reason_of(copy) == "idempotency_in_flight"
    assert copy.headers["retry-after"] == "1"
    assert (await bed.create(key, idempotency_key="one")).content == first.result().content
    assert len(vendor.creates()) == 1


async def test_forty_copies_over_three_gateways_are_one_create(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Whichever gateway each copy reaches, the vendor is sent one."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed()) for _ in range(3)]
        key = await beds[0].key()

        answers = await asyncio.gather(
            *(beds[n % 3].create(key, idempotency_key="one") for n in range(40))
        )

    given = Counter(answer.status_code for answer in answers)
    assert given.keys() <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert len(vendor.creates()) == 1


@pytest.mark.parametrize(
    ("point", "status", "creates", "state"),
    [
        ("submit.arrived", 500, 1, "completed"),
        ("submit.admitted", 500, 0, "in_doubt"),
        ("submit.sent", 200, 1, "in_doubt"),
        ("submit.answered", 500, 1, "in_doubt"),
        ("submit.accepting", 500, 1, "in_doubt"),
        ("submit.accepted", 500, 1, "completed"),
    ],
)
async def test_a_create_that_dies_midway_is_neither_lost_nor_doubled(
    bed: Bed, point: str, status: int, creates: int, state: str
) -> None:
    """Dead at any step, its key later gets one and the same answer, and the vendor one POST."""
    key = await bed.key()
    failpoints.arm({point: "raise"})
    broken = await bed.create(key, idempotency_key="one")
    failpoints.arm({})

    bed.clock.advance_ms(IDEMPOTENCY_LEASE_MS)
    first = await bed.create(key, idempotency_key="one")
    await bed.pass_time(600)
    second = await bed.create(key, idempotency_key="one")

    assert broken.status_code == status
    assert first.json()["status"] == "pending"
    assert first.content == second.content
    assert len(bed.vendor.creates()) == creates
    assert (await bed.stored(task_in(first)))["state"] == state


async def test_a_dead_creates_key_is_in_flight_until_its_lease_ends(
    bed: Bed, vendor: Vendor
) -> None:
    """Before that nobody can tell that it is dead."""
    key = await bed.key()
    failpoints.arm({"submit.admitted": "raise"})
    await bed.create(key, idempotency_key="one")
    failpoints.arm({})

    bed.clock.advance_ms(IDEMPOTENCY_LEASE_MS - 1)
    early = await bed.create(key, idempotency_key="one")
    bed.clock.advance_ms(1)
    late = await bed.create(key, idempotency_key="one")

    assert reason_of(early) == "idempotency_in_flight"
    assert late.status_code == 200
    assert vendor.creates() == []


async def test_an_error_is_not_remembered(bed: Bed, vendor: Vendor) -> None:
    """After a refusal the same key creates, and that answer is the one that is kept."""
    key = await bed.key()
    vendor.fault("status", status=400, times=1)
    refused = await bed.create(key, idempotency_key="one")

    created = await bed.create(key, idempotency_key="one")
    replay = await bed.create(key, idempotency_key="one")

    assert refused.status_code == 400
    assert created.status_code == 200
    assert "idempotency-replayed" not in created.headers
    assert replay.content == created.content


async def test_the_same_key_of_others_is_another_key(bed: Bed, vendor: Vendor) -> None:
    """Another tenant and the other mode get tasks of their own; a colleague gets the replay."""
    acme, globex = await bed.key("acme"), await bed.key("globex")
    test = await bed.key("acme", mode="test")
    colleague = await bed.another_key("acme")

    answers = [
        await bed.create(key, idempotency_key="one") for key in (acme, globex, test, colleague)
    ]

    ids = [task_in(answer) for answer in answers]
    assert len(set(ids)) == 3
    assert ids[0] == ids[3]
    assert len(vendor.creates()) == 2


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"tasks_in_flight": 5}, "too_many_in_flight"),
        ({"creates_per_minute": 5}, "rate_limited"),
        ({"credits_per_day": "0.5"}, "credit_exhausted"),
        ({"credits_per_month": "0.599999"}, "credit_exhausted"),
    ],
)
async def test_limits_hold_over_three_gateways_and_the_vendor_sees_no_more(
    open_gateway_bed: OpenBed, vendor: Vendor, limits: dict[str, object], reason: str
) -> None:
    """Thirty creates at once for five places: five reach the vendor."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed()) for _ in range(3)]
        key = await beds[0].key(**limits)

        answers = await asyncio.gather(*(beds[n % 3].create(key) for n in range(30)))

    refused = [reason_of(answer) for answer in answers if answer.status_code != 200]
    assert refused == [reason] * 25
    assert len(vendor.creates()) == 5


@pytest.mark.unaudited("the store is emptied")
async def test_a_wiped_store_creates_nothing(bed: Bed, vendor: Vendor, redis_url: str) -> None:
    """The store is emptied under a running gateway: 503, nothing is sent, nothing is written."""
    key = await bed.key()
    await bed.created(key)
    vendor.sweep()
    with BlockingRedis.from_url(redis_url) as redis:
        redis.flushall()

    answer = await bed.create(key)

    assert answer.status_code == 503
    assert reason_of(answer) == "store_foreign"
    assert int(answer.headers["retry-after"]) > 0
    assert vendor.creates() == []
    assert await everything(bed.gateway.store.redis) == {}


async def test_a_full_process_refuses_before_it_writes(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """With as many sends under way as it may have, the next create leaves no trace."""
    async with open_gateway_bed(vendor={"max_in_flight": 1}) as bed:
        key = await bed.key()
        vendor.fault("delay", ms=600, times=1)

        async with asyncio.TaskGroup() as callers:
            first = callers.create_task(bed.create(key))
            await reaches(vendor)
            untouched = await everything(bed.gateway.store.redis)
            answer = await bed.create(key)
            unchanged = await everything(bed.gateway.store.redis) == untouched

        assert answer.status_code == 503
        assert reason_of(answer) == "overloaded"
        assert unchanged
        assert task_in(first.result())
        assert task_in(await bed.create(key))


async def test_a_stopping_process_takes_nothing_new(bed: Bed, vendor: Vendor) -> None:
    """Once it drains, a create is refused at once; nothing is held for it."""
    key = await bed.key()
    await bed.gateway.running.drain(0)

    answer = await bed.create(key)

    assert reason_of(answer) == "stopping"
    assert await bed.usage() == {}
    assert vendor.creates() == []


async def test_without_a_vendor_key_live_creates_wait_and_test_keys_work(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A gateway that is not set up yet says so, and can be tried out."""
    async with open_gateway_bed(vendor={"keys": ""}) as bed:
        live, test = await bed.key(), await bed.key(mode="test")

        refused = await bed.create(live)
        created = await bed.created(test, character("seconds:0"))
        await bed.pass_time(2)

        assert refused.status_code == 503
        assert reason_of(refused) == "no_vendor_key"
        assert (await bed.read(test, created)).json()["status"] == "completed"
        assert await bed.usage(mode="test") == await bed.usage(mode="test") | {"held": 0}
        assert vendor.journal() == []


async def test_the_first_answer_stands_when_no_vendor_key_is_left(
    open_gateway_bed: OpenBed,
) -> None:
    """A replay sends nothing, so it needs neither a vendor key nor a model that is still served."""
    async with open_gateway_bed() as bed:
        key = await bed.key()
        first = await bed.create(key, idempotency_key="order-1")

    async with open_gateway_bed(vendor={"keys": SecretStr("")}) as bed:
        again = await bed.create(key, idempotency_key="order-1")
        other = await bed.create(key, idempotency_key="order-2")

    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, reason_of(other)) == (503, "no_vendor_key")
