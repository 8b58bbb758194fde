"""What the vendor says after a task was given up corrects the money, whoever gave it up."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.audit import Actor
from app.domain.resolution import Resolution
from tests.conftest import OpenBed
from tests.flows.doubting import TRUSTING, called_back, doubted, movements
from tests.flows.watching import reaches, sends_end
from tests.support.bed import Bed, character

HELD = 100_000
RELEASING = {"when_in_doubt": "release"}


async def given_up(bed: Bed, task_id: str, how: str) -> None:
    """Let an operator say that a doubt is over."""
    wanted = Resolution.read({"as": how, "reason": "nothing to be seen in the console"})
    await bed.gateway.resolve(task_id, wanted, Actor("cli"))


@pytest.mark.parametrize("how", ["rejected", "written_off"])
async def test_a_yes_to_a_resend_after_the_end_is_charged(
    open_gateway_bed: OpenBed, how: str
) -> None:
    """The repeated send was under way when an operator gave the task up: the vendor makes it."""
    async with open_gateway_bed(**TRUSTING) as bed:
        key = await bed.key(**RELEASING)
        task_id = await doubted(bed, key, mode="reset")
        bed.vendor.fault("delay", ms=300)

        bed.clock.advance_ms(6_000)
        await bed.work()
        await reaches(bed.vendor, creates=2)
        await given_up(bed, task_id, how)
        shown = (await bed.read(key, task_id)).content
        await sends_end(bed)

        made = bed.vendor.creates()[-1]["created_task_id"]
        assert await movements(bed, task_id) == [
            ("hold", HELD),
            ("release", HELD),
            ("correction", HELD),
        ]
        assert (await bed.stored(task_id))["vendor_id"] == made
        assert (await bed.read(key, task_id)).content == shown
        assert (await bed.usage())["settled"] == HELD


@pytest.mark.parametrize(
    ("scenario", "charged"), [("seconds:1", HELD), ("outcome:failed,seconds:1", 0)]
)
async def test_a_notice_after_an_operators_no_corrects_it(
    open_gateway_bed: OpenBed, scenario: str, charged: int
) -> None:
    """He saw nothing at the vendor, and then its callback names the task: its answer counts."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        task_id = await doubted(bed, key, scenario)
        await given_up(bed, task_id, "rejected")
        bed.vendor.pass_time(5)

        told: Any = await called.notify(called.token(task_id), id=called.made_for(task_id))

        assert told.status_code == 200
        kinds = [("hold", HELD), ("release", HELD)]
        assert await movements(bed, task_id) == kinds + [("correction", charged)] * bool(charged)
        assert (await bed.stored(task_id))["state"] == "rejected"


async def test_a_notice_about_what_the_vendor_refused_is_no_evidence(
    open_gateway_bed: OpenBed,
) -> None:
    """It said no itself, so that there never was a doubt: nothing is asked."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key(when_full="queue", tasks_in_flight=1)
        await bed.created(key, character("seconds:1"))
        task_id = await bed.created(key, character("seconds:1"))
        bed.vendor.fault("status", status=400, times=1)
        await bed.pass_time(2)
        await sends_end(bed)
        before = len(bed.vendor.reads())

        await called.notify(called.token(task_id), id=called.made_for(task_id))

        assert (await bed.stored(task_id))["state"] == "rejected"
        assert len(bed.vendor.reads()) == before
