"""Reads that wait for their budget are counted, so that a budget that is too small shows."""

from __future__ import annotations

from tests.conftest import OpenBed
from tests.support.bed import Bed, character

POLL = {"first_delay_s": 1, "min_interval_s": 60, "max_interval_s": 60, "per_second": 2}


def put_off(bed: Bed) -> float | None:
    """Return how many reads were put off."""
    return bed.gateway.metrics.registry.get_sample_value("reelgate_reads_put_off_total")


async def test_a_read_that_is_put_off_is_counted(open_gateway_bed: OpenBed) -> None:
    """Each time; what the budget allows is not."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        for _ in range(2):
            await bed.created(key, character("outcome:never"))
        await bed.pass_time(2)
        enough = put_off(bed)
        for _ in range(5):
            await bed.created(key, character("outcome:never"))

        await bed.pass_time(1.5)

        assert enough == 0
        assert put_off(bed) == 3


async def test_every_task_of_a_batch_that_is_put_off_counts(open_gateway_bed: OpenBed) -> None:
    """They are all read later."""
    keys = "sk-first-key-1111"
    poll = {**POLL, "per_second": 1, "batch": True}
    async with open_gateway_bed(poll=poll, vendor={"keys": keys}) as bed:
        one, other = await bed.key("acme"), await bed.key("globex")
        for key in (one, one, other, other):
            await bed.created(key, character("outcome:never"))

        await bed.pass_time(1.5)

        assert put_off(bed) == 2
