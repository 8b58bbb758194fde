"""Notices that cannot be acted on at once: what they name is kept, and asked about in time."""

from __future__ import annotations

import asyncio

import pytest

from app import failpoints
from app.domain.requeue import Requeue
from app.store.keys import Shard
from app.store.notices import MOST_KEPT
from tests.conftest import OpenBed
from tests.flows.doubting import (
    Called,
    begun,
    called_back,
    doubted,
    lives_through,
    made_past_the_gateway,
    movements,
)
from tests.flows.watching import task_in
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor

HELD = 100_000
HANGING_S = 0.5
TWO_MINUTES_S = 120


def made_up(called: Called, count: int) -> list[str]:
    """Return ids as the vendor might have made them now."""
    second = called.bed.clock.now_ms() // 1000
    return [f"task-unified-{second}-made{number:04d}" for number in range(count)]


async def left_behind(bed: Bed, key: str, scenario: str = "") -> str:
    """Return a task whose sender died with the vendor's answer in its hands."""
    failpoints.arm({"submit.answered": "raise"})
    await bed.create(key, character(scenario))
    failpoints.arm({})
    return await begun(bed, key)


async def test_a_notice_that_overtakes_the_doubt_ends_it(open_gateway_bed: OpenBed) -> None:
    """The vendor took the task, hangs, and notifies meanwhile: the first look finds its task."""
    async with called_back(open_gateway_bed, vendor={"submit_timeout_s": HANGING_S}) as called:
        bed = called.bed
        key = await bed.key()
        bed.vendor.fault("commit_then_hang", times=1)
        async with asyncio.TaskGroup() as callers:
            creating = callers.create_task(bed.create(key, character("seconds:20")))
            task_id = await begun(bed, key)
            await bed.pass_time(20)
            await called.office.delivered()
            early, named = (await bed.stored(task_id))["state"], await called.named(task_id)

        assert (task_in(creating.result()), early) == (task_id, "sending")
        assert (called.office.statuses, named) == ([200], [called.made_for(task_id)])
        assert (await bed.stored(task_id))["state"] == "in_doubt"
        await bed.pass_time(5)
        assert (await bed.stored(task_id))["vendor_id"] == called.made_for(task_id)
        await bed.pass_time(20)
        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert await movements(bed, task_id) == [("hold", HELD), ("settle", HELD)]
        assert len(bed.vendor.creates()) == 1


async def test_what_it_named_is_forgotten_once_the_send_is_answered(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """The answer says all; nobody is asked."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        vendor.fault("delay", ms=400, times=1)
        async with asyncio.TaskGroup() as callers:
            creating = callers.create_task(bed.create(key, character("seconds:900")))
            task_id = await begun(bed, key)
            early = await called.notify(called.token(task_id), id=made_up(called, 1)[0])
            kept = await called.named(task_id)

        record = await bed.stored(task_id)
        assert (early.status_code, len(kept), task_in(creating.result())) == (200, 1, task_id)
        assert record["vendor_id"] == called.made_for(task_id)
        assert record.keys().isdisjoint({"named", "looked_ms", "looks"})
        assert vendor.reads() == []


async def test_what_it_named_is_forgotten_when_the_task_waits_again(
    open_gateway_bed: OpenBed,
) -> None:
    """What leads back into the queue says that the vendor has nothing."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key(when_vendor_down="queue")
        bed.vendor.fault("status", status=429, times=1)
        task_id = await left_behind(bed, key)
        await called.notify(called.token(task_id), id=made_up(called, 1)[0])
        kept = await called.named(task_id)
        (task,) = await bed.gateway.store.tasks.load(Shard.of("acme"), [task_id])
        now_ms = bed.clock.now_ms()

        await bed.gateway.store.queue.requeue(
            task,
            body=task.body,
            why="status 429",
            wait=Requeue(wait_ms=60_000, yields=False),
            now_ms=now_ms,
        )

        assert (len(kept), await called.named(task_id)) == (1, [])
        assert (await bed.stored(task_id))["state"] == "queued"


async def test_a_notice_outlives_the_process_that_sent(open_gateway_bed: OpenBed) -> None:
    """Its sender ended without a word; another process calls it doubtful, and asks."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        task_id = await left_behind(bed, key, "seconds:20")
        await bed.pass_time(20)
        await called.office.delivered()
        state = (await bed.stored(task_id))["state"]
    async with open_gateway_bed() as bed:
        await bed.pass_time(210)
        await bed.pass_time(5)

        assert (state, called.office.statuses) == ("sending", [200])
        assert (await bed.stored(task_id))["state"] == "submitted"
        await bed.pass_time(5)
        assert (await bed.read(key, task_id)).json()["status"] == "completed"


@pytest.mark.parametrize("away_s", [4, 30, 60])
async def test_a_vendor_that_cannot_be_read_is_asked_again(
    open_gateway_bed: OpenBed, away_s: int
) -> None:
    """The notice has come and was taken; what it named is found two minutes later at the latest."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:20")
        bed.vendor.fault("status", on="report", status=503)
        await bed.pass_time(5)
        await bed.pass_time(15)
        await called.office.delivered()
        await bed.work()
        await bed.pass_time(away_s)
        state, reads = (await bed.stored(task_id))["state"], len(bed.vendor.reads())

        bed.vendor.heal()
        await bed.pass_time(TWO_MINUTES_S - away_s)

        assert called.office.statuses == [200]
        assert (state, reads) == ("in_doubt", 1 if away_s < 5 else 2)
        assert (await bed.stored(task_id))["vendor_id"] == called.made_for(task_id)


async def test_the_last_four_different_ids_are_kept(open_gateway_bed: OpenBed) -> None:
    """The newest first, and each once: nobody can fill the store with them."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await left_behind(bed, await bed.key(), "seconds:900")
        ids, before = made_up(called, MOST_KEPT + 2), await bed.stored(task_id)
        bad_ids = ("task-unified-1 2", "task-unified-", "x" * 300, f"{ids[0]}\n", "../x")

        for each in (*ids, ids[3], ids[3], *bad_ids):
            answer = await called.notify(called.token(task_id), id=each)
            assert answer.status_code == 200

        assert await called.named(task_id) == [ids[3], ids[5], ids[4], ids[2]]
        after = await bed.stored(task_id)
        assert after == before | {"named": after["named"]}


async def test_among_made_up_ids_the_true_one_is_found(open_gateway_bed: OpenBed) -> None:
    """One is asked about every five seconds at the most, the newest first."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        task_id = await left_behind(bed, await bed.key(), "seconds:9000")
        for each in (called.made_for(task_id), *made_up(called, MOST_KEPT - 1)):
            await called.notify(called.token(task_id), id=each)
        await bed.pass_time(210)
        reads = []
        for _ in range(TWO_MINUTES_S // 5):
            await bed.pass_time(5)
            reads.append(len(bed.vendor.reads()))

        record = await bed.stored(task_id)
        assert (record["state"], record["vendor_id"]) == ("submitted", called.made_for(task_id))
        assert reads[:4] == [1, 2, 3, 4]


async def test_two_doubts_that_are_told_one_id_do_not_share_it(open_gateway_bed: OpenBed) -> None:
    """At the same moment, by genuine notices; the books want one owner for each of its tasks."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        tasks = []
        bed.vendor.fault("reset", times=8)
        for number in range(8):
            tenant_id = f"tenant-{number}"
            tasks.append((tenant_id, await bed.created(await bed.key(tenant_id))))
        made = await made_past_the_gateway(bed)
        for tenant_id, task_id in tasks:
            await called.notify(called.token(task_id, tenant_id), id=made)

        await bed.work()

        states = [(await bed.stored(task_id))["state"] for _, task_id in tasks]
        assert sorted(states) == ["in_doubt"] * 7 + ["submitted"]


async def test_proof_comes_before_the_next_resend(open_gateway_bed: OpenBed) -> None:
    """Where a send may be repeated, what was named is asked about first."""
    vendor = {"trust_idempotency": True, "submit_timeout_s": HANGING_S}
    async with called_back(open_gateway_bed, vendor=vendor) as called:
        bed = called.bed
        key = await bed.key()
        bed.vendor.fault("commit_then_hang", times=1)
        async with asyncio.TaskGroup() as callers:
            callers.create_task(bed.create(key, character("seconds:900")))
            task_id = await begun(bed, key)
            await called.notify(called.token(task_id), id=called.made_for(task_id))

        counted = await lives_through(bed, 5, 30, 120)

        assert counted == [1, 1, 1]
        assert "resends" not in await bed.stored(task_id)


async def test_what_proves_nothing_delays_no_resend(open_gateway_bed: OpenBed) -> None:
    """Asked about first, and then sent in the same step, each time."""
    async with called_back(open_gateway_bed, vendor={"trust_idempotency": True}) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:900", "reset")
        bed.vendor.fault("reject_then_status", status=503)

        counted = []
        for pause_s in (5, 30, 120):
            await called.notify(called.token(task_id), id=made_up(called, 1)[0])
            counted += await lives_through(bed, pause_s)

        assert counted == [2, 3, 4]
        assert (await bed.stored(task_id))["resends"] == "3"


async def test_nothing_is_given_up_without_a_last_look(open_gateway_bed: OpenBed) -> None:
    """The notice was taken; the engine was away until after the deadline."""
    async with called_back(open_gateway_bed, doubt_deadline_s=60) as called:
        bed = called.bed
        tasks = [await doubted(bed, await bed.key(), "seconds:900")]
        await called.notify(called.token(tasks[0]), id=called.made_for(tasks[0]))
        tasks.append(await doubted(bed, await bed.key(), "seconds:900"))
        await called.notify(called.token(tasks[1]), id=made_up(called, 1)[0])

        await bed.pass_time(61)

        states = [(await bed.stored(each))["state"] for each in tasks]
        assert states == ["submitted", "written_off"]
        assert "named" not in await bed.stored(tasks[1])


async def test_engines_share_the_looks(open_gateway_bed: OpenBed) -> None:
    """Three engines ask once between them."""
    async with called_back(open_gateway_bed) as called, open_gateway_bed() as two:
        beds: list[Bed] = [called.bed, two]
        task_id = await doubted(beds[0], await beds[0].key(), "seconds:900", "reset")
        await called.notify(called.token(task_id), id=made_up(called, 1)[0])

        await asyncio.gather(*(bed.work() for bed in beds))

        assert len(beds[0].vendor.reads()) == 1


async def test_no_other_step_of_a_doubt_hastens_a_look(open_gateway_bed: OpenBed) -> None:
    """One read in five seconds, whatever else is due between them."""
    async with called_back(open_gateway_bed, vendor={"trust_idempotency": True}) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:900", "reset")
        bed.vendor.fault("reject_then_status", status=503)
        await bed.pass_time(3)
        await called.notify(called.token(task_id), id=made_up(called, 1)[0])
        await bed.work()

        counted, reads = [], []
        for pause_s in (2, 2.9, 0.1):
            counted += await lives_through(bed, pause_s)
            reads.append(len(bed.vendor.reads()))

        assert (counted, reads) == ([2, 2, 2], [1, 1, 2])
