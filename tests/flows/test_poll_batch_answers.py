"""What a vendor may answer to a batch read, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.support.bed import Bed
from tests.support.dictated_vendor import TASK, DictatedVendor, words

STEADY = {"first_delay_s": 1, "min_interval_s": 2, "max_interval_s": 2, "batch": True}


@pytest.fixture(autouse=True)
def audited() -> None:
    """Audit nothing: a vendor that only repeats what it is told keeps no journal."""


def task(vendor_id: str, status: str) -> dict[str, Any]:
    """Return what the vendor tells of a task."""
    return TASK | {"id": vendor_id, "status": status}


async def told_of(bed: Bed, key: str, *task_ids: str) -> list[str]:
    """Return what tasks show."""
    return [(await bed.read(key, each)).json()["status"] for each in task_ids]


async def creates_at(bed: Bed, dictated: DictatedVendor, key: str, *, count: int) -> dict[str, str]:
    """Create tasks; return the vendor's ids by ours."""
    found = {}
    for n in range(count):
        vendor_id = f"task-unified-1757169743-dictated{n}"
        dictated.of_create = words(task(vendor_id, "pending"))
        found[await bed.created(key)] = vendor_id
    return found


SPOILT: list[Any] = [
    pytest.param(lambda tasks: tasks[1:], id="left out"),
    pytest.param(lambda tasks: [None, *tasks[1:]], id="null"),
    pytest.param(lambda tasks: [[], *tasks[1:]], id="list"),
    pytest.param(lambda tasks: [tasks[0] | {"status": 7}, *tasks[1:]], id="no word"),
    pytest.param(lambda tasks: [tasks[0] | {"id": ["x"]}, *tasks[1:]], id="no id"),
    pytest.param(lambda tasks: [tasks[0] | {"id": "task-unified-1-other"}, *tasks[1:]], id="other"),
    pytest.param(lambda tasks: [*tasks, tasks[0] | {"status": "failed"}], id="told twice"),
]


@pytest.mark.parametrize("spoil", SPOILT)
async def test_one_bad_entry_harms_no_other(open_gateway_bed: OpenBed, spoil: Any) -> None:
    """It is read singly at once; the others are taken as they were told."""
    async with (
        DictatedVendor() as dictated,
        open_gateway_bed(poll=STEADY, vendor={"base_url": dictated.url}) as bed,
    ):
        key = await bed.key()
        created = await creates_at(bed, dictated, key, count=3)
        tasks = [task(vendor_id, "completed") for vendor_id in created.values()]
        dictated.of_batch = words({"data": spoil(tasks)})
        dictated.of_read = words(task(next(iter(created.values())), "processing"))

        await bed.pass_time(1.5)

        assert await told_of(bed, key, *created) == ["processing", "completed", "completed"]


REFUSALS = [
    *(words({"error": {"message": "No."}}, status) for status in (400, 404, 405, 413, 422, 501)),
    *(words({"data": []}, status) for status in (401, 403, 429, 500, 502, 503)),
    words({"data": []}),
    words({"data": {}}),
    words({}),
    words([]),
]


def calls(dictated: DictatedVendor) -> tuple[int, int]:
    """Return how many batch reads and how many single reads there were."""
    return len(dictated.batches), len(dictated.reads)


@pytest.mark.parametrize("answer", REFUSALS, ids=str)
async def test_a_batch_that_tells_nothing_stops_nobody(
    open_gateway_bed: OpenBed, answer: Any
) -> None:
    """The call is undocumented: however it fails, its tasks are read singly at once."""
    async with (
        DictatedVendor() as dictated,
        open_gateway_bed(poll=STEADY, vendor={"base_url": dictated.url}) as bed,
    ):
        key = await bed.key()
        created = await creates_at(bed, dictated, key, count=3)
        dictated.of_batch = answer
        dictated.of_read = words(task(list(created.values())[-1], "completed"))

        await bed.pass_time(1.5)

        assert await told_of(bed, key, *created) == ["pending", "pending", "completed"]
        assert calls(dictated) == (1, 3)


@pytest.mark.parametrize("answer", [words({}, 500), words({"data": []})], ids=str)
async def test_a_batch_call_that_always_fails_is_tried_once_a_minute(
    open_gateway_bed: OpenBed, answer: Any
) -> None:
    """All else is read singly, and in batches again once one has succeeded."""
    async with (
        DictatedVendor() as dictated,
        open_gateway_bed(poll=STEADY, vendor={"base_url": dictated.url}) as bed,
    ):
        key = await bed.key()
        created = await creates_at(bed, dictated, key, count=3)
        dictated.of_batch = answer

        await bed.pass_time(1.5)
        for _ in range(19):
            await bed.pass_time(3)
        within = calls(dictated)
        await bed.pass_time(6)
        failed_again = calls(dictated)
        await bed.pass_time(61)
        tasks = [task(vendor_id, "processing") for vendor_id in created.values()]
        dictated.of_batch = words({"data": tasks})
        await bed.pass_time(61)
        await bed.pass_time(3)

        assert within == (1, 60)
        assert failed_again == (2, 63)
        assert calls(dictated) == (5, 66)


async def test_a_key_whose_batches_fail_leaves_the_others_theirs(
    open_gateway_bed: OpenBed,
) -> None:
    """What one key may not do another may; two keys fail once each."""
    keys = "sk-first-key-1111,sk-second-key-2222"
    async with (
        DictatedVendor() as dictated,
        open_gateway_bed(poll=STEADY, vendor={"base_url": dictated.url, "keys": keys}) as bed,
    ):
        await creates_at(bed, dictated, await bed.key(), count=4)
        dictated.of_batch = words({}, 403)

        await bed.pass_time(1.5)
        await bed.pass_time(3)

        assert calls(dictated) == (2, 8)
