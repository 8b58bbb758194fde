"""Callbacks of the vendor: they end doubts and hasten reads, and are never believed."""

from __future__ import annotations

import pytest

from tests.conftest import OpenBed
from tests.flows.doubting import LOST_ANSWERS, called_back, doubted, lives_through, movements
from tests.support.bed import character

HELD = 100_000


@pytest.mark.parametrize("mode", [mode for mode, _ in LOST_ANSWERS if mode.startswith("commit")])
async def test_a_callback_brings_back_a_lost_answer(open_gateway_bed: OpenBed, mode: str) -> None:
    """The vendor tells the end of a task; asked about it, it says all, and that is delivered."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        task_id = await doubted(bed, key, "seconds:30", mode)
        await bed.pass_time(5)

        await bed.pass_time(25)
        await called.office.delivered()
        await bed.work()

        record = await bed.stored(task_id)
        assert called.office.statuses == [200]
        assert called.office.tokens == [called.token(task_id)]
        assert (record["state"], record["vendor_id"]) == ("submitted", called.made_for(task_id))
        await bed.pass_time(20)
        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert await movements(bed, task_id) == [("hold", HELD), ("settle", HELD)]
        assert len(bed.vendor.creates()) == 1


async def test_a_callback_about_a_failure_releases_the_hold(open_gateway_bed: OpenBed) -> None:
    """The lost answer turns up, and the task has failed meanwhile: it costs nothing."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        task_id = await doubted(bed, key, "outcome:failed,seconds:30")
        await bed.pass_time(5)

        await bed.pass_time(25)
        await called.office.delivered()
        await bed.work()
        await bed.pass_time(20)

        assert (await bed.read(key, task_id)).json()["status"] == "failed"
        assert await movements(bed, task_id) == [("hold", HELD), ("release", HELD)]


async def test_a_doubt_that_has_lost_its_slot_is_still_resolved(open_gateway_bed: OpenBed) -> None:
    """The task is followed beside the one that has its slot now, and takes none from it."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key(tasks_in_flight=1)
        task_id = await doubted(bed, key, "seconds:700")
        await bed.pass_time(610)
        other = await bed.created(key, character("seconds:5000"))

        await bed.pass_time(100)
        await called.office.delivered()
        await bed.work()
        await bed.pass_time(60)

        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert (await bed.stored(other))["state"] == "submitted"
        assert (await bed.create(key)).status_code == 429


async def test_proof_stops_the_resends(open_gateway_bed: OpenBed) -> None:
    """Once the vendor has been seen to have it, nothing is sent any more."""
    async with called_back(open_gateway_bed, vendor={"trust_idempotency": True}) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(), "seconds:20")
        bed.vendor.fault("reject_then_status", status=503)

        counted = await lives_through(bed, 5, 16)
        await called.office.delivered()
        counted += await lives_through(bed, 30, 120, 600)

        assert counted == [2] * 5
        assert (await bed.stored(task_id))["state"] == "completed"


async def test_a_callback_hastens_the_read_of_a_task_that_is_followed(
    open_gateway_bed: OpenBed,
) -> None:
    """Its end is known at once, and not when the next read would have been due; for one read."""
    async with called_back(open_gateway_bed, poll={"first_delay_s": 3600}) as called:
        bed = called.bed
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:30"))

        await bed.pass_time(30)
        await called.office.delivered()
        await bed.work()

        assert (await bed.read(key, task_id)).json()["status"] == "completed"
        assert len(bed.vendor.reads()) == 1


@pytest.mark.parametrize("word", ["lost", "twice", "early", "late", "forged"])
async def test_a_vendor_that_notifies_badly_changes_no_end(
    open_gateway_bed: OpenBed, word: str
) -> None:
    """Lost, doubled, early, late, or about an end that never was: the answer to a read counts."""
    async with called_back(open_gateway_bed) as called:
        bed = called.bed
        key = await bed.key()
        outcome = "failed" if word == "forged" else "completed"
        task_id = await bed.created(key, character(f"seconds:30,outcome:{outcome},callback:{word}"))

        for _ in range(12):
            await bed.pass_time(10)

        assert (await bed.read(key, task_id)).json()["status"] == outcome
        ends = [kind for kind, _ in await movements(bed, task_id)]
        assert ends == ["hold", "release" if outcome == "failed" else "settle"]


@pytest.mark.parametrize(
    ("policy", "scenario", "before", "correction"),
    [
        ("charge", "seconds:100", ("settle", HELD), []),
        ("charge", "outcome:failed,seconds:100", ("settle", HELD), [("correction", -HELD)]),
        ("release", "seconds:100", ("release", HELD), [("correction", HELD)]),
        ("release", "seconds:100,credits:0.04", ("release", HELD), [("correction", 40_000)]),
        ("release", "outcome:failed,seconds:100", ("release", HELD), []),
    ],
)
async def test_late_evidence_corrects_the_money_and_not_the_answer(
    open_gateway_bed: OpenBed,
    policy: str,
    scenario: str,
    before: tuple[str, int],
    correction: list[tuple[str, int]],
) -> None:
    """What the vendor says after the write-off goes to the ledger; the answer stays as it was."""
    async with called_back(open_gateway_bed, doubt_deadline_s=60) as called:
        bed = called.bed
        key = await bed.key(when_in_doubt=policy)
        task_id = await doubted(bed, key, scenario)
        await bed.pass_time(61)
        answer = (await bed.read(key, task_id)).content
        written_off = await movements(bed, task_id)

        await bed.pass_time(40)
        await called.office.delivered()
        for _ in range(3):
            await bed.pass_time(6)
            again = await called.notify(called.token(task_id), id=called.made_for(task_id))
            assert again.status_code == 200

        record = await bed.stored(task_id)
        assert written_off == [("hold", HELD), before]
        assert await movements(bed, task_id) == [*written_off, *correction]
        assert record["state"] == "written_off"
        assert (await bed.usage())["settled"] == int(record["charged"])
        assert (await bed.read(key, task_id)).content == answer


async def test_evidence_without_an_end_corrects_nothing_yet(open_gateway_bed: OpenBed) -> None:
    """That the vendor has the task says nothing of its price; that it has ended does."""
    async with called_back(open_gateway_bed, doubt_deadline_s=60) as called:
        bed = called.bed
        task_id = await doubted(bed, await bed.key(when_in_doubt="release"), "seconds:100")
        await bed.pass_time(61)

        await called.notify(called.token(task_id), id=called.made_for(task_id))
        early = await movements(bed, task_id)
        await bed.pass_time(40)
        await called.office.delivered()

        assert early == [("hold", HELD), ("release", HELD)]
        assert (await movements(bed, task_id))[2:] == [("correction", HELD)]
