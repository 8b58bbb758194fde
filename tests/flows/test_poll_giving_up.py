"""Tasks whose end the vendor never tells: written off when their time is over, not before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.flows.doubting import called_back, movements
from tests.support.bed import Bed, character
from tests.support.vendor import Vendor

HELD = 100_000
GIVE_UP_S = 1_500
OVER_S = GIVE_UP_S + 40
"""The last read may be late by a tenth of the watch interval."""
POLL = {
    "first_delay_s": 1,
    "min_interval_s": 10,
    "max_interval_s": 10,
    "deadline_s": 60,
    "watch_interval_s": 300,
    "give_up_s": GIVE_UP_S,
}
FORGOTTEN: list[Any] = [
    ("status", {"status": 404}),
    ("status", {"status": 500}),
    ("malformed", {}),
    ("close", {}),
    ("", {}),
]
"""Ways not to tell the end of a task; with the last the vendor goes on saying that it runs."""


async def watched(bed: Bed, key: str, scenario: str = "outcome:never", *, until_s: int) -> str:
    """Return a task as it stands a time after its acceptance, past its deadline."""
    task_id = await bed.created(key, character(scenario))
    for step_s in (100, 100, *(100,) * (until_s // 100 - 2)):
        await bed.pass_time(step_s)
    await bed.pass_time(until_s % 100)
    return task_id


@pytest.mark.parametrize(("mode", "params"), FORGOTTEN)
async def test_what_never_ends_is_written_off_when_its_time_is_over(
    open_gateway_bed: OpenBed, vendor: Vendor, mode: str, params: dict[str, Any]
) -> None:
    """Any number of bad reads does nothing to it before."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        if mode:
            vendor.fault(mode, on="report", **params)
        task_id = await watched(bed, key, until_s=GIVE_UP_S - 1)
        before = (await bed.stored(task_id))["state"], (await bed.read(key, task_id)).json()

        await bed.pass_time(OVER_S - GIVE_UP_S + 1)

        shown = (await bed.read(key, task_id)).json()
        assert (before[0], before[1]["status"] in ("pending", "processing")) == ("watching", True)
        assert (shown["status"], shown["error"]["code"]) == ("failed", "outcome_unknown")
        assert (await bed.stored(task_id))["state"] == "written_off"
        finished = bed.gateway.metrics.tasks_finished.labels("written_off")
        assert finished._value.get() == 1


@pytest.mark.parametrize(("policy", "end"), [("charge", "settle"), ("release", "release")])
async def test_it_is_charged_or_released_as_its_tenant_wishes(
    open_gateway_bed: OpenBed, policy: str, end: str
) -> None:
    """Like a doubt; once, whatever happens in the years after, and the tenant sees what it cost."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key(when_in_doubt=policy)
        task_id = await watched(bed, key, until_s=OVER_S)

        await bed.pass_time(10 * GIVE_UP_S)

        spent = HELD if policy == "charge" else 0
        assert await movements(bed, task_id) == [("hold", HELD), (end, HELD)]
        assert (await bed.stored(task_id))["charged"] == str(spent)
        shown = (await bed.read(key, task_id)).json()
        assert shown["usage"]["credits_used"] == spent / 1_000_000


async def test_the_last_word_of_the_vendor_counts(open_gateway_bed: OpenBed) -> None:
    """It is asked once more when the time is over: what has ended by then is delivered."""
    async with open_gateway_bed(poll=POLL) as bed:
        key = await bed.key()
        task_id = await watched(bed, key, f"seconds:{GIVE_UP_S - 20}", until_s=GIVE_UP_S - 1)
        before = (await bed.stored(task_id))["state"]

        await bed.pass_time(OVER_S - GIVE_UP_S + 1)

        assert before == "watching"
        assert (await bed.read(key, task_id)).json()["status"] == "completed"


async def test_what_was_not_looked_at_for_long_is_watched_first(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Where no engine ran for a week, the first bad read after it ends nothing."""
    async with open_gateway_bed(poll=POLL) as bed:
        task_id = await bed.created(await bed.key(), character("outcome:never"))
        vendor.fault("close", on="report")

        await bed.pass_time(3 * GIVE_UP_S)
        after_one = (await bed.stored(task_id))["state"]
        await bed.pass_time(340)

        assert after_one == "watching"
        assert (await bed.stored(task_id))["state"] == "written_off"


async def test_a_task_whose_vendor_key_has_gone_ends_too(open_gateway_bed: OpenBed) -> None:
    """No other key is tried: it could tell of another's task, or of none."""
    async with open_gateway_bed(poll=POLL) as bed:
        task_id = await bed.created(await bed.key(), character("outcome:never"))
        keys = "sk-another-key-2222"
        async with open_gateway_bed(poll=POLL, vendor={"keys": keys}) as later:
            for _ in range(16):
                await later.pass_time(100)

        assert (await bed.stored(task_id))["state"] == "written_off"
        assert len(bed.vendor.reads()) == 0


async def test_the_vendors_late_word_corrects_the_money(open_gateway_bed: OpenBed) -> None:
    """Its callback is proof: the ledger gets a correction, the answer stays."""
    async with called_back(open_gateway_bed, poll=POLL) as called:
        bed = called.bed
        key = await bed.key(when_in_doubt="release")
        scenario = f"seconds:{GIVE_UP_S + 300}"
        task_id = await watched(bed, key, scenario, until_s=OVER_S)
        before = (await bed.read(key, task_id)).content

        await bed.pass_time(400)
        await called.office.delivered()
        await bed.work()

        assert await movements(bed, task_id) == [
            ("hold", HELD),
            ("release", HELD),
            ("correction", HELD),
        ]
        assert (await bed.read(key, task_id)).content == before
