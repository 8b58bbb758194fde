"""Retry-After: right to the second on refusals, and there while a task is not finished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from tests.api.asking import UNKNOWN_ID, ask_batch, get
from tests.api.rates import BOTH, READS
from tests.api.structured import Standing, standing
from tests.conftest import OpenBed
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.wait import wait_until

Ask = Callable[[Bed, str], Awaitable[httpx2.Response]]


async def waits_exactly(bed: Bed, key: str, ask: Ask) -> int:
    """Return the Retry-After of a refused call; fails unless it is right to the second."""
    refused = await ask(bed, key)
    assert refused.status_code == 429
    seconds = int(refused.headers["retry-after"])
    told = standing(refused)
    assert told is not None
    assert (told.left, told.for_s) == (0, seconds), "both headers name the same time"
    bed.clock.advance_ms((seconds - 1) * 1000)
    assert (await ask(bed, key)).status_code == 429
    bed.clock.advance_ms(1000)
    assert (await ask(bed, key)).status_code == 200
    return seconds


async def create(bed: Bed, key: str) -> httpx2.Response:
    """Send a create."""
    return await bed.create(key)


async def read(bed: Bed, key: str) -> httpx2.Response:
    """Send a read."""
    return await get(bed, key, "/v1/models")


@pytest.mark.parametrize(
    ("per_minute", "wait_s"),
    [(1, 60), (2, 30), (6, 10), (7, 9), (13, 5), (59, 2), (60, 1), (90, 1)],
)
@pytest.mark.parametrize("of", ["tenant", "key"])
async def test_after_the_time_told_a_create_passes_and_not_a_second_sooner(
    bed: Bed, per_minute: int, wait_s: int, of: str
) -> None:
    """For the limit of a tenant and for that of a key."""
    key = await bed.key(creates_per_minute=per_minute if of == "tenant" else None)
    if of == "key":
        key = await bed.another_key("acme", creates_per_minute=per_minute)
    for _ in range(per_minute):
        await bed.created(key)

    assert await waits_exactly(bed, key, create) == wait_s


@pytest.mark.parametrize("per_second", [1, 2, 7, 20, 50])
@pytest.mark.parametrize("of", ["tenant", "key"])
async def test_after_the_time_told_a_read_passes_and_not_a_second_sooner(
    bed: Bed, per_second: int, of: str
) -> None:
    """It is never longer than a second, nor told to be shorter."""
    key = await bed.key(reads_per_second=per_second if of == "tenant" else None)
    if of == "key":
        key = await bed.another_key("acme", reads_per_second=per_second)
    for _ in range(per_second):
        assert (await read(bed, key)).status_code == 200

    assert await waits_exactly(bed, key, read) == 1


async def test_the_time_told_is_that_of_the_limit_one_waits_for(bed: Bed) -> None:
    """The key is full for twenty seconds, the tenant for sixty: whoever waits, waits for both."""
    other = await bed.key("acme", creates_per_minute=1)
    key = await bed.another_key("acme", creates_per_minute=3)
    await bed.limit("acme", creates_per_minute=4)
    for _ in range(3):
        await bed.created(key)
    await bed.created(other)
    bed.clock.advance_ms(5000)
    await bed.limit("acme", creates_per_minute=2)

    assert await waits_exactly(bed, key, create) == 85


async def test_a_limit_that_was_lowered_below_what_is_used_is_waited_out(bed: Bed) -> None:
    """Ten of sixty are used when six are left to be had: fifty seconds at six a minute."""
    key = await bed.key(creates_per_minute=60)
    for _ in range(10):
        await bed.created(key)
    await bed.limit("acme", creates_per_minute=6)

    assert await waits_exactly(bed, key, create) == 50


@pytest.mark.parametrize("seconds", [60, 3600, 86_400])
async def test_a_limit_of_nothing_lets_nothing_pass_ever(bed: Bed, seconds: int) -> None:
    """The caller is told to come back all the same, for an operator may change it."""
    key = await bed.key(creates_per_minute=0, reads_per_second=0)
    bed.clock.advance_ms(seconds * 1000)

    created, was_read = await create(bed, key), await read(bed, key)

    assert (created.status_code, created.headers["retry-after"]) == (429, "60")
    assert (was_read.status_code, was_read.headers["retry-after"]) == (429, "1")


@pytest.mark.parametrize(
    ("scenario", "seconds", "status", "waits"),
    [
        ("seconds:60", 0, "pending", True),
        ("seconds:60", 20, "processing", True),
        ("seconds:1", 20, "completed", False),
        ("outcome:failed,seconds:1", 20, "failed", False),
        ("outcome:cancelled,seconds:1", 20, "failed", False),
    ],
)
async def test_an_unfinished_task_says_when_to_look_again(
    bed: Bed, scenario: str, seconds: int, status: str, waits: bool
) -> None:
    """Its create and each of its reads; a finished one has nothing more to tell."""
    key = await bed.key()
    created = await bed.create(key, character(scenario))
    await bed.pass_time(seconds)
    reads = [
        await get(bed, key, f"{path}/{created.json()['id']}") for path in ("/v1/tasks", CREATE_PATH)
    ]

    assert int(created.headers["retry-after"]) >= 1
    for answer in reads:
        assert answer.json()["status"] == status
        assert ("retry-after" in answer.headers) == waits
        assert not waits or int(answer.headers["retry-after"]) >= 1


async def test_a_replay_tells_when_to_look_like_the_first_answer(bed: Bed) -> None:
    """It shows a task that is not finished, whatever has become of it."""
    key = await bed.key()
    first = await bed.create(key, character("seconds:1"), idempotency_key="order-1")
    await bed.pass_time(60)

    again = await bed.create(key, character("seconds:1"), idempotency_key="order-1")

    assert again.json()["status"] == first.json()["status"] == "pending"
    assert again.headers["retry-after"] == first.headers["retry-after"]


async def test_answers_about_several_things_say_nothing_of_waiting(bed: Bed) -> None:
    """Lists, batches, models, credits and use may be asked for at any time."""
    key = await bed.key()
    task_id = await bed.created(key)
    answers = [await get(bed, key, path) for path in READS if UNKNOWN_ID not in path]
    answers.append(await ask_batch(bed, key, {"task_ids": [task_id]}))

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert not any("retry-after" in answer.headers for answer in answers)


async def test_a_create_without_verdict_tells_the_rates_too(open_gateway_bed: OpenBed) -> None:
    """The vendor takes its time; the answer in time is an answer like others."""
    async with open_gateway_bed(create_answer_s=0.1) as bed:
        bed.vendor.fault("delay", ms=400)
        key = await bed.key(**BOTH)
        answer = await bed.create(key)

        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
        assert standing(answer) == Standing("creates", 4, 12)
        assert "retry-after" in answer.headers


@pytest.mark.parametrize("what", ["key", "tenant"])
async def test_what_was_created_is_answered_even_if_the_caller_is_shut_out_meanwhile(
    open_gateway_bed: OpenBed, what: str
) -> None:
    """401 and 403 mean that nothing was created: they must not stand in for a 200."""
    async with open_gateway_bed(create_answer_s=0.5) as bed:
        bed.vendor.fault("delay", ms=1000)
        key = await bed.key("acme")
        [issued] = await bed.gateway.store.keys.of_tenant("acme")
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(bed.create(key))
            await wait_until(bed.vendor.creates, describing="the create to reach the vendor")
            if what == "key":
                await bed.revoke("acme", issued.id)
            else:
                await bed.switch("acme", disabled=True)

        answer = asking.result()
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "pending"
