"""Reads are free: however often a task is looked at, by its caller or by us, no credit moves."""

from __future__ import annotations

import asyncio

from tests.conftest import OpenBed
from tests.support.auditor import Books, read_books
from tests.support.bed import Bed, character
from tests.support.scale import scaled

TASKS = scaled(1_000)
POLLS = scaled(100_000)
AT_ONCE = 50
STEADY = {"first_delay_s": 1, "min_interval_s": 1, "max_interval_s": 1}


def money(books: Books) -> object:
    """Return every ledger and every figure of what is held and spent."""
    return books.ledgers, books.usage


async def made(bed: Bed) -> tuple[str, list[str]]:
    """Return a key and its tasks: running, completed, failed, in doubt, waiting."""
    key = await bed.key(tasks_in_flight=TASKS, when_full="queue")
    ends = ["outcome:never", "seconds:1", "seconds:1,outcome:failed", "seconds:1,credits:0.04"]
    ids = [await bed.created(key, character(ends[n % len(ends)])) for n in range(TASKS - 1)]
    bed.vendor.fault("commit_then_close", times=1)
    ids.append(await bed.created(key, character("outcome:never")))
    ids.append(await bed.created(key, character("outcome:never")))
    await bed.pass_time(2)
    return key, ids


async def test_no_number_of_reads_moves_a_credit(bed: Bed, redis_url: str) -> None:
    """One by one, in batches, as lists, of usage and of credits."""
    key, ids = await made(bed)
    before = money(read_books(redis_url))
    bearer = {"authorization": f"Bearer {key}"}

    for first in range(0, POLLS, AT_ONCE):
        asked = [ids[(first + n) % len(ids)] for n in range(AT_ONCE)]
        answers = await asyncio.gather(*(bed.read(key, task_id) for task_id in asked))
        assert {answer.status_code for answer in answers} == {200}
    for path in ("/v1/tasks", "/v1/credits", "/v1/usage", "/v1/models"):
        assert (await bed.http.get(path, headers=bearer)).status_code == 200
    wanted = {"task_ids": ids[:50]}
    assert (await bed.http.post("/v1/tasks/batch", json=wanted, headers=bearer)).status_code == 200

    assert money(read_books(redis_url)) == before


async def test_no_number_of_our_own_reads_moves_a_credit(
    open_gateway_bed: OpenBed, redis_url: str
) -> None:
    """A task that runs on holds what it held, a hundred reads at the vendor later."""
    async with open_gateway_bed(poll=STEADY) as bed:
        await made(bed)
        before = money(read_books(redis_url))
        reads = len(bed.vendor.reads())

        for _ in range(20):
            await bed.pass_time(1.5)

        assert len(bed.vendor.reads()) - reads >= 100
        assert money(read_books(redis_url)) == before
