"""Several tasks read in one call: the same as single reads, in everything but their number."""

from __future__ import annotations

from typing import Any

from tests.conftest import OpenBed
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor

STEADY = {"first_delay_s": 1, "min_interval_s": 2, "max_interval_s": 2, "batch": True}


def batches(vendor: Vendor) -> list[dict[str, Any]]:
    """Return the batch reads that reached the sandbox."""
    return [entry for entry in vendor.journal() if entry["path"] == "/v1/tasks/batch"]


async def told_of(bed: Bed, key: str, *task_ids: str) -> list[str]:
    """Return what tasks show."""
    return [(await bed.read(key, each)).json()["status"] for each in task_ids]


async def test_the_due_tasks_of_a_shard_cost_one_call(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """They end as they would have ended alone, and are charged once."""
    async with open_gateway_bed(poll=STEADY) as bed:
        key = await bed.key()
        ended = [await bed.created(key, character("seconds:1")) for _ in range(3)]
        failed = await bed.created(key, character("seconds:1,outcome:failed"))
        running = await bed.created(key, character("outcome:never"))

        await bed.pass_time(1.5)

        assert await told_of(bed, key, *ended, failed) == ["completed"] * 3 + ["failed"]
        assert await told_of(bed, key, running) == ["processing"]
        assert (await bed.usage())["settled"] == 300_000
        assert (len(batches(vendor)), len(vendor.reads())) == (1, 0)


async def test_no_call_names_more_than_fifty(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """More tasks than that are read in several calls."""
    async with open_gateway_bed(poll={**STEADY, "concurrency": 200}) as bed:
        key = await bed.key()
        created = [await bed.created(key, character("seconds:1")) for _ in range(60)]

        await bed.pass_time(1.5)

        assert set(await told_of(bed, key, *created)) == {"completed"}
        assert len(batches(vendor)) == 2


async def test_a_task_alone_is_read_alone(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """By the documented call."""
    async with open_gateway_bed(poll=STEADY) as bed:
        await bed.created(await bed.key(), character("seconds:1"))

        await bed.pass_time(1.5)

    assert (len(batches(vendor)), len(vendor.reads())) == (0, 1)


async def test_a_call_names_tasks_of_one_vendor_key(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Another key might not be allowed to see them."""
    keys = "sk-first-key-1111,sk-second-key-2222"
    async with open_gateway_bed(poll=STEADY, vendor={"keys": keys}) as bed:
        key = await bed.key()
        created = [await bed.created(key, character("seconds:1")) for _ in range(6)]

        await bed.pass_time(1.5)

        assert set(await told_of(bed, key, *created)) == {"completed"}
        assert len({entry["key"] for entry in batches(vendor)}) == 2


async def test_what_the_batch_leaves_out_is_read_singly(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A task the vendor has lost stays open; its neighbours come to their end."""
    async with open_gateway_bed(poll=STEADY) as bed:
        key = await bed.key()
        lost = await bed.created(key, character("lost:1,seconds:9"))
        others = [await bed.created(key, character("seconds:1")) for _ in range(2)]

        await bed.pass_time(1.5)

        assert await told_of(bed, key, lost, *others) == ["pending", "completed", "completed"]
        assert (len(batches(vendor)), len(vendor.reads())) == (1, 1)


async def test_test_keys_are_read_in_batches_too(open_gateway_bed: OpenBed) -> None:
    """The built-in sandbox knows the call, and no test task gets into a live one."""
    async with open_gateway_bed(poll=STEADY) as bed:
        key, live = await bed.key(mode="test"), await bed.key("acme")
        created = [await bed.created(key, character("seconds:1")) for _ in range(3)]
        alive = [await bed.created(live, character("seconds:1")) for _ in range(3)]

        await bed.pass_time(1.5)

        assert set(await told_of(bed, key, *created)) == {"completed"}
        assert set(await told_of(bed, live, *alive)) == {"completed"}


async def test_a_batch_counts_as_one_read(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """With a budget of two a second, forty tasks are read at once."""
    async with open_gateway_bed(poll={**STEADY, "per_second": 2}) as bed:
        key = await bed.key()
        created = [await bed.created(key, character("seconds:1")) for _ in range(40)]

        await bed.pass_time(1.5)

        assert set(await told_of(bed, key, *created)) == {"completed"}
        assert len(batches(vendor)) == 1
