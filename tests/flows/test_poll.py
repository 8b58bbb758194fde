"""Status reads: one for everybody, and none of them ever ends a task but the vendor's word."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app import failpoints
from app.store.keys import Shard
from tests.conftest import OpenBed
from tests.flows.watching import comes_to
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

NEVER = character("outcome:never")
STEADY = {"first_delay_s": 1, "min_interval_s": 2, "max_interval_s": 2}
"""One read every two seconds, and up to a tenth more."""

INTERVAL_S = 2.2

UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    *[("status", {"status": status}) for status in (400, 401, 402, 403, 404, 410, 429, 500, 503)],
    ("hang", {}),
    ("slow_drip", {"interval_ms": 50}),
    ("reset", {}),
    ("close", {}),
    ("truncated", {}),
    ("malformed", {}),
    ("html", {}),
    ("html", {"status": 404}),
    *[("wrong_type", {"kind": kind}) for kind in ("list", "string", "number", "null", "boolean")],
    ("missing_id", {}),
    *[("bad_id", {"kind": kind}) for kind in ("other", "foreign", "empty", "null", "traversal")],
    ("huge", {"mib": 2}),
    ("gzip_bomb", {"mib": 1}),
    ("redirect", {}),
]
"""Reads that tell nothing about the task."""

SILENT = ("hang", "slow_drip")
"""Those that end with our own deadline."""


@pytest.mark.parametrize(("mode", "params"), UNREADABLE)
async def test_a_read_that_tells_nothing_changes_nothing(
    open_gateway_bed: OpenBed, vendor: Vendor, mode: str, params: dict[str, Any]
) -> None:
    """However the vendor's answer is spoilt, the task shows what it showed, and ends later."""
    deadline_s = 0.2 if mode in SILENT else 10
    async with open_gateway_bed(vendor={"report_timeout_s": deadline_s}) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:2"))
        before = (await bed.read(key, task_id)).content
        vendor.fault(mode, on="report", **params)

        await bed.pass_time(4)
        unchanged = (await bed.read(key, task_id)).content
        vendor.heal()
        await bed.pass_time(20)

        assert unchanged == before
        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert (await bed.usage())["settled"] == 100_000


async def test_a_task_the_vendor_has_lost_stays_open(bed: Bed) -> None:
    """An unknown id is not a failed task: the hold stays until somebody knows better."""
    key = await bed.key()
    task_id = await bed.created(key, character("lost:3,seconds:9"))
    await bed.pass_time(2)
    shown = (await bed.read(key, task_id)).content

    for _ in range(5):
        await bed.pass_time(60)

    assert (await bed.read(key, task_id)).content == shown
    assert (await bed.usage())["held"] == 100_000


@pytest.mark.parametrize("word", ["dreaming", "QUEUED", "on-hold"])
async def test_an_unknown_status_keeps_the_task_running(bed: Bed, word: str) -> None:
    """A word that no document knows neither ends the task nor reaches the caller."""
    key = await bed.key()
    task_id = await bed.created(key, character(f"seconds:20,status:{word}"))

    await bed.pass_time(5)
    running = (await bed.read(key, task_id)).json()["status"]
    await bed.pass_time(30)

    assert running == "pending"
    assert (await bed.read(key, task_id)).json()["status"] == "completed"


async def test_an_end_is_final_whatever_the_vendor_says_later(bed: Bed, vendor: Vendor) -> None:
    """A task that completed is not read any more, though the vendor would take it back."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:2,regress:3"))
    await bed.pass_time(3)
    shown, reads = (await bed.read(key, task_id)).content, len(vendor.reads())

    await bed.pass_time(600)

    assert (await bed.read(key, task_id)).content == shown
    assert len(vendor.reads()) == reads


async def test_progress_never_goes_back(bed: Bed) -> None:
    """From read to read a task's progress stays or grows, and its status does not fall back."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:30"))

    seen = []
    for _ in range(12):
        await bed.pass_time(3)
        answer = (await bed.read(key, task_id)).json()
        seen.append(
            (["pending", "processing", "completed"].index(answer["status"]), answer["progress"])
        )

    assert seen == sorted(seen)
    assert seen[-1] == (2, 100)


async def test_a_hundred_readers_cost_the_vendor_one_read_an_interval(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """However many ask, the vendor is asked once for all of them, interval after interval."""
    async with open_gateway_bed(poll=STEADY) as bed:
        key = await bed.key()
        task_id = await bed.created(key, NEVER)

        for intervals in range(1, 6):
            answers = await asyncio.gather(*(bed.read(key, task_id) for _ in range(100)))
            assert {answer.status_code for answer in answers} == {200}
            await bed.pass_time(INTERVAL_S)
            assert len(vendor.reads()) == intervals


async def test_three_engines_read_each_task_once_an_interval(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Thirty tasks of ten tenants, three engines at once: no task is read twice, none is left."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed(poll=STEADY)) for _ in range(3)]
        keys = [await beds[0].key(f"tenant-{n}") for n in range(10)]
        for n in range(30):
            await beds[n % 3].created(keys[n % 10], NEVER)

        for intervals in range(1, 4):
            beds[0].clock.advance_ms(int(INTERVAL_S * 1000))
            vendor.pass_time(INTERVAL_S)
            await asyncio.gather(*(bed.work() for bed in beds))
            reads = Counter(entry["path"] for entry in vendor.reads())
            assert len(reads) == 30
            assert set(reads.values()) == {intervals}


async def test_more_tasks_than_reads_at_once_are_all_read(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A shard with more due tasks than the bound gets them in several rounds, soonest first."""
    async with open_gateway_bed(poll={**STEADY, "concurrency": 4}) as bed:
        key = await bed.key()
        for _ in range(11):
            await bed.created(key, NEVER)

        await bed.pass_time(INTERVAL_S)

        assert len(vendor.reads()) == 11
        assert max(entry["concurrent"] for entry in vendor.reads()) <= 4


async def test_a_task_is_read_with_the_key_that_made_it(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Another key might not be allowed to see it."""
    async with open_gateway_bed(vendor={"keys": "sk-first-key-1111,sk-second-key-2222"}) as bed:
        key = await bed.key()
        for _ in range(4):
            await bed.created(key, NEVER)

        await bed.pass_time(2)

    made = {entry["created_task_id"]: entry["key"] for entry in vendor.creates()}
    read = {entry["path"].rpartition("/")[2]: entry["key"] for entry in vendor.reads()}
    assert len(made) == 4
    assert read == made


async def test_a_removed_vendor_key_keeps_its_tasks_open(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Nobody else's key is tried; when the key is back, the task goes on to its end."""
    async with open_gateway_bed(vendor={"keys": "sk-old-key-1111"}) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:2"))
    async with open_gateway_bed(vendor={"keys": "sk-new-key-2222"}) as bed:
        await bed.pass_time(30)
        meanwhile, reads = (await bed.read(key, task_id)).json(), len(vendor.reads())
        held = (await bed.usage())["held"]

    async with open_gateway_bed(vendor={"keys": "sk-new-key-2222,sk-old-key-1111"}) as bed:
        await bed.pass_time(30)

        assert (meanwhile["status"], reads, held) == ("pending", 0, 100_000)
        assert (await bed.read(key, task_id)).json()["status"] == "completed"


async def test_a_defect_in_one_report_does_not_stop_its_neighbours(bed: Bed) -> None:
    """A task whose stored answer is spoilt is passed over; the others of its shard are read."""
    key = await bed.key()
    spoilt, *others = [await bed.created(key, character("seconds:1")) for _ in range(4)]
    shard, redis = Shard.of("acme"), bed.gateway.store.redis
    whole = await redis.hget(shard.task(spoilt), "body")
    await redis.hset(shard.task(spoilt), "body", "spoilt")

    await bed.pass_time(2)

    assert [(await bed.stored(each))["state"] for each in others] == ["completed"] * 3
    assert (await bed.stored(spoilt))["state"] == "submitted"
    await redis.hset(shard.task(spoilt), "body", whole)
    await bed.pass_time(40)
    assert (await bed.stored(spoilt))["state"] == "completed"


@pytest.mark.parametrize(
    ("field", "value"), [("state", "a state of a later version"), ("version", "")]
)
async def test_a_record_that_cannot_be_read_does_not_stop_its_neighbours(
    bed: Bed, field: str, value: str
) -> None:
    """Written by a newer version, or spoilt: the others of its shard are read all the same."""
    key = await bed.key()
    spoilt, *others = [await bed.created(key, character("seconds:1")) for _ in range(3)]
    record, redis = Shard.of("acme").task(spoilt), bed.gateway.store.redis
    whole = await redis.hget(record, field)
    await redis.hset(record, field, value)

    await bed.pass_time(2)

    states = [(await bed.stored(each))["state"] for each in others]
    await redis.hset(record, field, whole)
    assert states == ["completed"] * 2


async def test_the_tasks_of_a_dead_engine_come_due_again(bed: Bed, vendor: Vendor) -> None:
    """What it had claimed is left alone until the lease ends, and read then."""
    task_id = await bed.created(await bed.key(), character("seconds:1"))
    bed.clock.advance_ms(2000)
    vendor.pass_time(2)
    now_ms, schedules = bed.clock.now_ms(), bed.gateway.engine.schedules
    claimed = await schedules.claim(
        "polls", Shard.of("acme"), now_ms=now_ms, lease_ms=30_000, most=9
    )

    await bed.pass_time(29)
    during = len(vendor.reads())
    await bed.pass_time(1)

    assert claimed == [task_id]
    assert during == 0
    assert len(vendor.reads()) == 1
    assert (await bed.stored(task_id))["state"] == "completed"


@pytest.mark.parametrize("point", ["poll.claimed", "poll.sent", "poll.reported", "poll.advanced"])
async def test_an_engine_that_dies_midway_loses_and_doubles_nothing(bed: Bed, point: str) -> None:
    """Dead at any step of a read, another engine brings the task to its end, once."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:1"))
    failpoints.arm({point: "raise"})
    bed.clock.advance_ms(2000)
    bed.vendor.pass_time(2)
    await bed.gateway.engine.round()
    failpoints.arm({})

    await bed.pass_time(31)

    assert (await bed.read(key, task_id)).json()["status"] == "completed"
    assert (await bed.usage())["settled"] == 100_000


async def test_a_slow_engine_that_was_overtaken_settles_nothing(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Its lease ran out while it waited for the vendor; another finished the task meanwhile."""
    async with open_gateway_bed() as slow, open_gateway_bed() as quick:
        key = await slow.key()
        task_id = await slow.created(key, character("seconds:1"))
        vendor.fault("delay", on="report", times=1, ms=700)
        slow.clock.advance_ms(2000)
        vendor.pass_time(2)

        async with asyncio.TaskGroup() as engines:
            engines.create_task(slow.gateway.engine.round())
            await wait_until(lambda: vendor.reads(), describing="the slow read")
            await quick.pass_time(30)
            await comes_to(quick, task_id, "completed")
            shown = (await quick.read(key, task_id)).content

        entries = await quick.gateway.store.tasks.ledger("acme", task_id)
        assert len(vendor.reads()) == 2
        assert [kind for _, kind, _ in entries] == ["hold", "settle"]
        assert (await slow.read(key, task_id)).content == shown


async def test_no_more_reads_are_under_way_than_the_setting_says(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """The bound is the process's, over all tenants and their shards."""
    async with open_gateway_bed(poll={"concurrency": 2}) as bed:
        for tenant in ("acme", "globex", "hooli", "initech", "umbrella", "wonka"):
            await bed.created(await bed.key(tenant), character("seconds:1"))
        vendor.fault("delay", on="report", ms=50)
        await bed.pass_time(2)

    reads = vendor.reads()
    assert len(reads) == 6
    assert max(read["concurrent"] for read in reads) == 2
