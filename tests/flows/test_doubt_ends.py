"""What a doubt costs meanwhile, and in the end: the slot in time, the hold to the last."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.audit import GATEWAY
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.doubting import doubted, movements
from tests.flows.watching import comes_to, reason_of
from tests.support.bed import Bed, character

DAY_S = 86_400
HELD = 100_000


async def test_the_slot_is_given_back_in_time_and_the_hold_is_not(bed: Bed) -> None:
    """Ten minutes for a task that takes two and a half; what may be spent stays held."""
    key = await bed.key(tasks_in_flight=1, credits_per_day="0.2")
    await doubted(bed, key)

    await bed.pass_time(590)
    early = await bed.create(key)
    await bed.pass_time(10)
    later = await bed.create(key, character("seconds:90000"))
    beyond = await bed.create(key)

    assert reason_of(early) == "too_many_in_flight"
    assert later.status_code == 200
    assert reason_of(beyond) == "too_many_in_flight"
    assert (await bed.usage())["held"] == 2 * HELD
    await bed.limit("acme", tasks_in_flight=None)
    assert reason_of(await bed.create(key)) == "credit_exhausted"


async def test_the_slot_of_the_key_is_given_back_too(bed: Bed) -> None:
    """A key's own limit counts the same tasks."""
    await bed.key("acme")
    key = await bed.another_key("acme", tasks_in_flight=1)
    await doubted(bed, key)

    await bed.pass_time(600)

    assert (await bed.create(key)).status_code == 200


async def test_a_freed_slot_goes_to_whoever_waits(bed: Bed) -> None:
    """The queue is woken by it, and need not wait for the next look."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    await doubted(bed, key)
    waiting = await bed.created(key, character("seconds:90000"))
    before = (await bed.stored(waiting))["state"]

    await bed.pass_time(600)
    await comes_to(bed, waiting, "submitted")

    assert before == "queued"


@pytest.mark.parametrize(
    ("policy", "charged", "end"),
    [
        ({}, HELD, ("settle", HELD)),
        ({"when_in_doubt": "charge"}, HELD, ("settle", HELD)),
        ({"when_in_doubt": "release"}, 0, ("release", HELD)),
    ],
    ids=str,
)
async def test_after_a_day_it_is_written_off_as_its_tenant_wishes(
    bed: Bed, policy: dict[str, Any], charged: int, end: tuple[str, int]
) -> None:
    """Counted as spent unless it says otherwise; in the figures of the day it was admitted."""
    key = await bed.key(**policy)
    task_id = await doubted(bed, key)
    figures = bed.usage

    await bed.pass_time(DAY_S - 1)
    early = (await bed.stored(task_id))["state"]
    bed.clock.advance_ms(-(DAY_S - 1) * 1000)
    held = (await figures())["held"]
    bed.clock.advance_ms(DAY_S * 1000)
    await bed.work()
    record = await bed.stored(task_id)
    bed.clock.advance_ms(-DAY_S * 1000)
    day = await figures()

    assert (early, held) == ("in_doubt", HELD)
    assert (record["state"], int(record["charged"]), record["held"]) == (
        "written_off",
        charged,
        "0",
    )
    assert (day["held"], day["settled"], day["failed"]) == (0, charged, 1)
    assert await movements(bed, task_id) == [("hold", HELD), end]


async def test_a_doubt_that_an_earlier_version_left_has_its_day_too(bed: Bed) -> None:
    """Its record does not say since when: it is as old as the task, and not given up at once."""
    task_id = await doubted(bed, await bed.key())
    await bed.gateway.store.redis.hdel(Shard.of("acme").task(task_id), "doubt_ms")

    await bed.pass_time(DAY_S - 60)
    early = (await bed.stored(task_id))["state"]
    await bed.pass_time(120)

    assert early == "in_doubt"
    assert (await bed.stored(task_id))["state"] == "written_off"


async def test_a_deleted_tenants_doubts_are_counted_as_spent(bed: Bed) -> None:
    """There is nobody left to wish otherwise, and the vendor may have made it."""
    task_id = await doubted(bed, await bed.key(when_in_doubt="release"))
    await bed.gateway.store.manage_tenants.delete("acme", force=True, by=GATEWAY)

    await bed.pass_time(DAY_S)

    assert (await bed.stored(task_id))["charged"] == str(HELD)


async def test_the_deadline_is_the_operators_to_set(open_gateway_bed: OpenBed) -> None:
    """A minute where one wants it so; what began later ends later."""
    async with open_gateway_bed(doubt_deadline_s=60) as bed:
        key = await bed.key()
        first = await doubted(bed, key)
        await bed.pass_time(30)
        second = await doubted(bed, key)

        await bed.pass_time(30)

        states = [(await bed.stored(each))["state"] for each in (first, second)]
        assert states == ["written_off", "in_doubt"]


async def test_what_is_written_off_reads_as_failed(bed: Bed) -> None:
    """With a code that says why, at no cost to the reader; it is pending until that day."""
    key = await bed.key()
    task_id = await doubted(bed, key)

    pending = (await bed.read(key, task_id)).json()
    await bed.pass_time(DAY_S)
    shown = (await bed.read(key, task_id)).json()

    assert pending["status"] == "pending"
    assert (shown["status"], shown["error"]["code"]) == ("failed", "outcome_unknown")
    assert shown["error"]["type"] == "task_error"
    assert shown["task_info"]["can_cancel"] is False
    assert shown.keys() == pending.keys() | {"error"}


async def test_a_write_off_happens_once(bed: Bed) -> None:
    """Years of further rounds move no more money, and no slot."""
    task_id = await doubted(bed, await bed.key(tasks_in_flight=1))
    await bed.pass_time(DAY_S)
    once = await movements(bed, task_id)

    for _ in range(5):
        await bed.pass_time(DAY_S)

    assert await movements(bed, task_id) == once == [("hold", HELD), ("settle", HELD)]
