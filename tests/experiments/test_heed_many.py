"""Lost answers by the hundred: callbacks bring every one back, each to its own task."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle, islice

from app.upstream.client import idempotency_key_of
from tests.conftest import OpenBed
from tests.flows.doubting import Called, called_back
from tests.flows.watching import reaches, task_in
from tests.support.bed import character
from tests.support.scale import scaled

LOST = scaled(1_000)
WAYS = (
    "commit_then_reset",
    "commit_then_close",
    "commit_then_status",
    "truncated",
    "malformed",
    "missing_id",
    "commit_then_hang",
)
"""Ways to lose the answer to a create that the vendor has acted on."""

RUN_S = 20
LIMIT_S = 120


def shares() -> Iterator[tuple[str, int]]:
    """Return how many answers are lost in each way."""
    ways = list(islice(cycle(WAYS), LOST))
    return ((way, ways.count(way)) for way in WAYS)


async def lose(called: Called, key: str) -> list[str]:
    """Create tasks whose answers are lost; the hanging ones are being sent while they end."""
    bed, made, tasks = called.bed, 0, list[str]()
    for way, count in shares():
        bed.vendor.heal()
        bed.vendor.fault(way, times=count)
        async with asyncio.TaskGroup() as callers:
            scenario = character(f"seconds:{RUN_S}")
            creating = [callers.create_task(bed.create(key, scenario)) for _ in range(count)]
            made += count
            await reaches(bed.vendor, creates=made)
            if way == "commit_then_hang":
                await bed.pass_time(RUN_S)
                await called.office.delivered(LOST)
        tasks += [task_in(each.result()) for each in creating]
    bed.vendor.heal()
    return tasks


async def test_nearly_all_lost_answers_are_back_two_minutes_after_the_notice(
    open_gateway_bed: OpenBed,
) -> None:
    """However they were lost, with every third read of the vendor failing, and none to another."""
    async with called_back(open_gateway_bed, vendor={"submit_timeout_s": 1}) as called:
        bed = called.bed
        tasks = await lose(called, await bed.key())
        bed.vendor.fault("status", on="report", status=503, chance=(0.3, 7))

        for _ in range(LIMIT_S):
            if not await bed.gateway.store.doubts.everywhere():
                break
            await bed.pass_time(1)

        records = {each: await bed.stored(each) for each in tasks}
        found = [each for each, record in records.items() if "vendor_id" in record]
        made = {each["idempotency_key"]: each["created_task_id"] for each in bed.vendor.creates()}
        assert len(set(tasks)) == len(made) == LOST
        assert len(found) >= 0.999 * LOST
        assert [records[each]["vendor_id"] for each in found] == [
            made[idempotency_key_of(each)] for each in found
        ]
        assert set(called.office.statuses) == {200}
