"""The store's clock is set: nobody is shut out for long or let in at will, and nothing goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.clock import HeldClock, StoreClock
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.vendor import Vendor

pytestmark = pytest.mark.chaos

TRIALS = 3
"""Of each of the eight steps."""

PER_MINUTE = 4
HOUR_S = 3_600
AHEAD_MS = (TRIALS + 2) * 24 * HOUR_S * 1000
"""The server's own clock cannot be moved here, so all of it happens ahead of it, where the server
ends no key by itself."""


async def passing(bed: Bed, key: str) -> int:
    """Return how many of many creates at one instant are let through."""
    answers = [await bed.create(key, character("seconds:600")) for _ in range(3 * PER_MINUTE)]
    assert {answer.status_code for answer in answers} <= {200, 429}
    return sum(answer.status_code == 200 for answer in answers)


async def through_a_step(bed: Bed, clock: HeldClock, key: str, step_s: int) -> None:
    """Use a burst up, step, and see how many pass then, after a window and a call, and later."""
    first = await passing(bed, key)

    clock.advance_ms(step_s * 1000)
    await bed.work()
    after = await passing(bed, key)
    clock.advance_ms(60_000 + 60_000 // PER_MINUTE)
    soon = await passing(bed, key)
    clock.advance_ms(60_000)
    later = await passing(bed, key)

    assert (first, later) == (PER_MINUTE, PER_MINUTE)
    assert soon >= 1
    assert after <= PER_MINUTE + 1


@pytest.mark.parametrize("step_s", [1, -1, 60, -60, HOUR_S, -HOUR_S, 24 * HOUR_S, -24 * HOUR_S])
async def test_a_step_of_the_clock_is_harmless(
    redis_url: str, vendor: Vendor, tmp_path: Path, step_s: int
) -> None:
    """Thrice: a burst and a call pass at most, one more after a window and its time, all soon."""
    clock = HeldClock(StoreClock().now_ms() + AHEAD_MS)
    settings = settings_for(redis_url, tmp_path, vendor.url)
    async with open_bed(settings, clock, vendor) as bed:
        bystander = await bed.key("globex")
        open_since_long = await bed.created(bystander, character("seconds:600"))
        for number in range(TRIALS):
            key = await bed.key(f"tenant-{number}", creates_per_minute=PER_MINUTE)
            task_id = await bed.created(bystander, character("seconds:600"))
            await through_a_step(bed, clock, key, step_s)

            for each in (open_since_long, task_id):
                shown = (await bed.read(bystander, each)).json()["status"]
                assert shown in ("pending", "processing")
                assert (await bed.stored(each))["state"] in ("submitted", "watching")
    assert audit(read_books(redis_url), vendor.journal(), bed.acknowledged) == []
