"""Sends of unknown outcome: repeated only where the vendor is trusted with it, and then seldom."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app import failpoints
from tests.conftest import OpenBed
from tests.flows.doubting import LOST_ANSWERS, TRUSTING, doubted, lives_through, movements
from tests.flows.watching import comes_to, sends_end
from tests.support.bed import Bed, character
from tests.support.tenant_keys import revoke
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

DAY_S = 86_400


@pytest.mark.parametrize(("mode", "params"), LOST_ANSWERS, ids=str)
async def test_without_trust_nothing_is_sent_again(
    bed: Bed, mode: str, params: dict[str, Any]
) -> None:
    """However the answer was lost: one POST, until the doubt is given up and ever after."""
    bed.vendor.fault(mode, times=1, **params)
    task_id = await bed.created(await bed.key())

    counted = await lives_through(bed, 5, 30, 120, 600, DAY_S, DAY_S)

    assert counted == [1] * 6
    assert (await bed.stored(task_id))["state"] == "written_off"


async def test_with_trust_a_lost_answer_is_fetched_within_ten_seconds(
    open_gateway_bed: OpenBed,
) -> None:
    """The vendor answers the second send with the task it made for the first."""
    async with open_gateway_bed(**TRUSTING) as bed:
        key = await bed.key()
        task_id = await doubted(bed, key, "seconds:900")

        counted = await lives_through(bed, 4.9, 5.1)

        first, second = bed.vendor.creates()
        record = await bed.stored(task_id)
        assert counted == [1, 2]
        assert (record["state"], record["vendor_id"]) == ("submitted", first["created_task_id"])
        assert second["idempotency_replayed"]
        await bed.pass_time(1000)
        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert len(bed.vendor.creates()) == 2


@pytest.mark.parametrize("end", ["tenant disabled", "key revoked"])
async def test_whoever_was_shut_out_creates_nothing_by_a_repeated_send(
    open_gateway_bed: OpenBed, end: str
) -> None:
    """It may create what the first did not; so it waits for proof, as where nobody is trusted."""
    async with open_gateway_bed(**TRUSTING) as bed:
        task_id = await doubted(bed, await bed.key(), mode="reset")
        if end == "tenant disabled":
            await bed.switch("acme", disabled=True)
        else:
            key_id, at_ms = (await bed.stored(task_id))["key"], bed.clock.now_ms()
            await revoke(bed.gateway.store.keys, "acme", key_id, at_ms=at_ms)

        counted = await lives_through(bed, 6, 30, 120, 600)

        assert counted == [1] * 4
        record = await bed.stored(task_id)
        assert (record["state"], record.get("resends", "0")) == ("in_doubt", "0")


async def test_a_send_that_never_arrived_is_made_good(open_gateway_bed: OpenBed) -> None:
    """The vendor knew nothing of the first; the second creates the one task there is."""
    async with open_gateway_bed(**TRUSTING) as bed:
        task_id = await doubted(bed, await bed.key(), mode="reset")

        await lives_through(bed, 5)

        assert (await bed.stored(task_id))["state"] == "submitted"
        assert [bool(each["created_task_id"]) for each in bed.vendor.creates()] == [False, True]


async def test_every_send_of_a_task_is_the_same_to_the_letter(open_gateway_bed: OpenBed) -> None:
    """Key, idempotency key and body: anything else would be another request to the vendor."""
    settings: dict[str, Any] = {"trust_idempotency": True, "callbacks": "always"}
    async with open_gateway_bed(public_url="https://gateway.example.com", vendor=settings) as bed:
        bed.vendor.fault("reject_then_status", status=503)
        await bed.created(await bed.key())

        await lives_through(bed, 5, 30, 120)

        sent = [
            (each["key"], each["idempotency_key"], each["body"]) for each in bed.vendor.creates()
        ]
        assert len(sent) == 4
        assert sent == sent[:1] * 4


async def test_it_is_sent_again_three_times_at_most(open_gateway_bed: OpenBed) -> None:
    """After 5, 35 and 155 seconds; then only its deadline ends it."""
    async with open_gateway_bed(**TRUSTING) as bed:
        bed.vendor.fault("reject_then_status", status=503)
        task_id = await bed.created(await bed.key())

        counted = await lives_through(bed, 4.9, 0.1, 29.9, 0.1, 119.9, 0.1, 600, DAY_S)

        assert counted == [1, 2, 2, 3, 3, 4, 4, 4]
        assert (await bed.stored(task_id))["state"] == "written_off"


@pytest.mark.parametrize(("status", "reason"), [(400, "invalid_parameters"), (422, None)])
async def test_a_refusal_of_the_request_itself_is_proof(
    open_gateway_bed: OpenBed, status: int, reason: str | None
) -> None:
    """Had the vendor made the task, it would have said so: the hold comes back, no send follows."""
    async with open_gateway_bed(**TRUSTING) as bed:
        key = await bed.key(tasks_in_flight=1)
        task_id = await doubted(bed, key, mode="reset")
        bed.vendor.fault("status", status=status, message="The clip is too dark")

        counted = await lives_through(bed, 5, 30, 120)

        shown = (await bed.read(key, task_id)).json()
        assert counted == [2, 2, 2]
        assert (shown["status"], shown["error"]["message"]) == ("failed", "The clip is too dark")
        assert reason in (None, shown["error"]["code"])
        assert await movements(bed, task_id) == [("hold", 100_000), ("release", 100_000)]
        bed.vendor.heal()
        assert (await bed.create(key)).status_code == 200


@pytest.mark.parametrize("status", [401, 402, 403, 409, 429, 500, 502])
async def test_any_other_refusal_leaves_the_doubt(open_gateway_bed: OpenBed, status: int) -> None:
    """A key that is refused today says nothing of what the vendor made yesterday."""
    async with open_gateway_bed(**TRUSTING) as bed:
        task_id = await doubted(bed, await bed.key(), "seconds:900")
        bed.vendor.fault("status", status=status)

        counted = await lives_through(bed, 5)
        left = (await bed.stored(task_id))["state"]
        bed.vendor.heal()
        counted += await lives_through(bed, 30, 120)

        assert left == "in_doubt"
        assert counted == [2, 3, 3]
        assert (await bed.stored(task_id))["state"] == "submitted"


async def test_a_resend_that_is_not_sent_leaves_the_doubt(open_gateway_bed: OpenBed) -> None:
    """That the second did not leave says nothing of the first."""
    async with open_gateway_bed(**TRUSTING) as bed:
        task_id = await doubted(bed, await bed.key())
    async with open_gateway_bed(
        vendor={**TRUSTING["vendor"], "base_url": "http://127.0.0.1:1"}
    ) as bed:
        await lives_through(bed, 5, 30, 120)

        assert (await bed.stored(task_id))["state"] == "in_doubt"
        assert (await bed.usage())["held"] == 100_000


async def test_a_process_that_dies_repeats_no_step(open_gateway_bed: OpenBed) -> None:
    """A resend counts from before it is made, so three are the most in any number of lives."""
    async with open_gateway_bed(**TRUSTING) as bed:
        key = await bed.key()
        tasks = [await doubted(bed, key, mode="reset") for _ in range(2)]
        failpoints.arm({"doubt.noted": "raise"})
        counted = await lives_through(bed, 5, 30, 120)
        failpoints.arm({})

        counted += await lives_through(bed, 60, 3600)

        assert counted == [2] * 5
        assert [(await bed.stored(each))["resends"] for each in tasks] == ["3", "3"]


async def test_three_engines_send_once_between_them(open_gateway_bed: OpenBed) -> None:
    """Each step of a doubt belongs to one process."""
    async with AsyncExitStack() as stack:
        beds = [await stack.enter_async_context(open_gateway_bed(**TRUSTING)) for _ in range(3)]
        for number in range(6):
            await doubted(beds[0], await beds[0].key(f"tenant-{number}"))
        beds[0].clock.advance_ms(5_000)
        beds[0].vendor.pass_time(5)

        await asyncio.gather(*(bed.work() for bed in beds))
        for bed in beds:
            await sends_end(bed)

        assert len(beds[0].vendor.creates()) == 12


async def test_where_there_is_no_room_a_resend_waits(
    open_gateway_bed: OpenBed, vendor: Vendor
) -> None:
    """Nothing of the doubt is used up by it."""
    async with open_gateway_bed(vendor={"trust_idempotency": True, "max_in_flight": 1}) as bed:
        key = await bed.key()
        task_id = await doubted(bed, key)
        vendor.fault("delay", ms=700, times=1)
        async with asyncio.TaskGroup() as callers:
            callers.create_task(bed.create(key, character("seconds:900")))
            await wait_until(lambda: len(vendor.creates()) == 2, describing="a slow create")
            await bed.pass_time(5)
            meanwhile = (await bed.stored(task_id)).get("resends")

        await bed.pass_time(2)
        await comes_to(bed, task_id, "submitted")

        assert meanwhile is None
        assert (await bed.stored(task_id))["resends"] == "1"


async def test_a_task_whose_doubt_is_over_is_left_alone(open_gateway_bed: OpenBed) -> None:
    """Whatever ended it: no look and no send follows."""
    async with open_gateway_bed(**TRUSTING) as bed:
        await doubted(bed, await bed.key(), "seconds:1")
        await lives_through(bed, 5)

        counted = await lives_through(bed, 30, 120, 600, DAY_S)

        assert counted == [2] * 4
