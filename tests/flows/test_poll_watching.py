"""Tasks past our own deadline: no verdict, only a slower look; what comes late is still booked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.flows.watching import reason_of
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor

DEADLINE_S = 1_000
WATCH_S = 300
POLL = {
    "first_delay_s": 1,
    "min_interval_s": 10,
    "max_interval_s": 10,
    "deadline_s": DEADLINE_S,
    "watch_interval_s": WATCH_S,
}


async def pass_by(bed: Bed, seconds: int) -> None:
    """Let time pass in steps in which the engine can follow."""
    for _ in range(seconds // 10):
        await bed.pass_time(10)


async def watched(bed: Bed, key: str, scenario: str) -> str:
    """Return a task that has passed the deadline."""
    task_id = await bed.created(key, character(scenario))
    await pass_by(bed, DEADLINE_S + 40)
    assert (await bed.stored(task_id))["state"] == "watching"
    return task_id


async def test_a_task_is_watched_from_its_deadline_on(open_gateway_bed: OpenBed) -> None:
    """Not a moment before; to its caller it is `processing` on both sides of it."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("outcome:never"))

        await pass_by(bed, DEADLINE_S - 20)
        before = (await bed.stored(task_id))["state"], (await bed.read(key, task_id)).json()
        await pass_by(bed, 40)
        after = (await bed.stored(task_id))["state"], (await bed.read(key, task_id)).json()

        assert (before[0], after[0]) == ("submitted", "watching")
        assert before[1]["status"] == after[1]["status"] == "processing"
        assert (await bed.usage())["held"] == 100_000


async def test_five_times_the_estimate_is_the_later_deadline(open_gateway_bed: OpenBed) -> None:
    """A task that was said to take long is not given up by a short setting."""
    async with open_gateway_bed(poll={**POLL, "deadline_s": 10}) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("outcome:never"))
        estimated_s = (await bed.read(key, task_id)).json()["task_info"]["estimated_time"]

        await pass_by(bed, 40)
        early = (await bed.stored(task_id))["state"]
        await pass_by(bed, 5 * estimated_s)

        assert estimated_s > 8
        assert early == "submitted"
        assert (await bed.stored(task_id))["state"] == "watching"


async def test_a_watched_task_gives_its_slot_back(open_gateway_bed: OpenBed) -> None:
    """Nobody else is kept waiting by a vendor that takes its time; who was queued goes."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key(tasks_in_flight=1)
        other = await bed.key("globex", tasks_in_flight=1, when_full="queue")
        task_id = await bed.created(key, character("outcome:never"))
        await bed.created(other, character("outcome:never"))
        waiting = await bed.created(other, character("seconds:1"))

        refusal = reason_of(await bed.create(key))
        await pass_by(bed, DEADLINE_S + 60)

        assert refusal == "too_many_in_flight"
        assert (await bed.create(key)).status_code == 200
        assert (await bed.read(other, waiting)).json()["status"] == "completed"
        assert (await bed.stored(task_id))["state"] == "watching"


async def test_a_watched_task_is_read_slowly(open_gateway_bed: OpenBed, vendor: Vendor) -> None:
    """Once in its own interval, where it was read every ten seconds before."""
    async with open_gateway_bed(poll=POLL) as bed:
        await watched(bed, await bed.key(), "outcome:never")
        reads = len(vendor.reads())

        await pass_by(bed, 3 * WATCH_S + 150)

        assert len(vendor.reads()) - reads == 3


async def test_a_late_success_is_delivered_and_charged(open_gateway_bed: OpenBed) -> None:
    """The vendor made it and bills it, so the caller gets it and pays."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await watched(bed, key, f"seconds:{DEADLINE_S + 200}")

        await pass_by(bed, 2 * WATCH_S)

        shown = (await bed.read(key, task_id)).json()
        assert shown["status"] == "completed"
        assert shown["results"] or shown["result_data"]
        assert (await bed.usage())["settled"] == 100_000
        assert (await bed.usage())["held"] == 0


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
async def test_a_late_failure_is_released(open_gateway_bed: OpenBed, outcome: str) -> None:
    """It costs nothing, however long it took."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await watched(bed, key, f"seconds:{DEADLINE_S + 200},outcome:{outcome}")

        await pass_by(bed, 2 * WATCH_S)

        assert (await bed.read(key, task_id)).json()["status"] == "failed"
        usage = await bed.usage()
        assert (usage["held"], usage.get("settled", 0)) == (0, 0)


@pytest.mark.parametrize(
    ("mode", "params"),
    [("status", {"status": 404}), ("status", {"status": 500}), ("malformed", {}), ("close", {})],
)
async def test_bad_reads_keep_a_watched_task(
    open_gateway_bed: OpenBed, vendor: Vendor, mode: str, params: dict[str, Any]
) -> None:
    """It goes on being watched, and ends when the vendor says so."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await watched(bed, key, f"seconds:{DEADLINE_S + 200}")
        vendor.fault(mode, on="report", **params)
        await pass_by(bed, 2 * WATCH_S)
        meanwhile = (await bed.stored(task_id))["state"]
        vendor.heal()

        await pass_by(bed, 2 * WATCH_S)

        assert meanwhile == "watching"
        assert (await bed.stored(task_id))["state"] == "completed"


async def test_bad_reads_do_not_put_the_deadline_off(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """A task that cannot be read gives its slot back in time like any other."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key(tasks_in_flight=1)
        task_id = await bed.created(key, character("outcome:never"))
        vendor.fault("status", on="report", status=500)

        await pass_by(bed, DEADLINE_S + 40)

        assert (await bed.stored(task_id))["state"] == "watching"
        assert (await bed.create(key)).status_code == 200
