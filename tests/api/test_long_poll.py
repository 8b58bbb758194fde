"""GET /v1/tasks/{id}?wait=: an answer when there is something to say, and not before."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2
import pytest

from tests.api.asking import UNKNOWN_ID, bearer
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.events import Listening
from tests.support.wait import wait_until

LONG_S = 30
AT_ONCE_S = 5.0
"""So much a busy machine may take for what is answered at once."""


async def ask(bed: Bed, key: str, task_id: str, wait: Any, *tags: str) -> httpx2.Response:
    """Ask for a task and wait for news of it."""
    headers = [bearer(key), *(("if-none-match", tag) for tag in tags)]
    return await bed.http.get(f"/v1/tasks/{task_id}?wait={wait}", headers=headers)


async def waiting(bed: Bed, count: int = 1) -> None:
    """Wait until so many reads wait."""
    await wait_until(
        lambda: bed.gateway.follow.audience.waits == count, describing=f"{count} reads to wait"
    )


@pytest.mark.parametrize("path", ["/v1/tasks/{}", CREATE_PATH + "/{}"])
async def test_a_read_waits_for_the_next_change(bed: Bed, path: str) -> None:
    """And gets the answer that it led to; under either path."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    address = path.format(task_id) + f"?wait={LONG_S}"
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        read = group.create_task(bed.http.get(address, headers=[bearer(key)]))
        await waiting(bed)
        await bed.pass_time(5)

    assert time.monotonic() - began_s < AT_ONCE_S
    answer = read.result()
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.content == (await bed.read(key, task_id)).content
    assert bed.gateway.follow.audience.waits == 0


async def test_a_change_that_comes_as_the_wait_begins_is_not_missed(bed: Bed) -> None:
    """Whatever falls between the look and the wait."""
    key = await bed.key()
    ids = [await bed.created(key, character("seconds:0")) for _ in range(20)]
    # Else all would be woken as the channel opens.
    await ask(bed, key, ids[0], 0.01)
    await wait_until(lambda: bed.gateway.follow.channel.is_open, describing="the channel")
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(ask(bed, key, task_id, LONG_S)) for task_id in ids]
        await bed.pass_time(5)

    assert time.monotonic() - began_s < AT_ONCE_S
    assert {read.result().json()["status"] for read in reads} == {"completed"}


async def test_a_read_that_waits_is_woken_by_another_process(open_gateway_bed: OpenBed) -> None:
    """The engine that sees the change need not be the one that is asked."""
    async with open_gateway_bed() as one, open_gateway_bed() as other:
        key = await one.key()
        task_id = await one.created(key, character("seconds:0"))
        async with asyncio.TaskGroup() as group:
            read = group.create_task(ask(other, key, task_id, LONG_S))
            await waiting(other)
            await one.pass_time(5)

    assert read.result().json()["status"] == "completed"


async def test_what_is_over_is_answered_at_once(bed: Bed) -> None:
    """Nothing else will come; a client that has it is told so at once, too."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    await bed.pass_time(5)
    began_s = time.monotonic()

    answer = await ask(bed, key, task_id, LONG_S)
    again = await ask(bed, key, task_id, LONG_S, answer.headers["etag"])

    assert (answer.status_code, again.status_code) == (200, 304)
    assert time.monotonic() - began_s < AT_ONCE_S


async def test_without_news_a_read_is_answered_in_the_end(bed: Bed) -> None:
    """With 200 and what there is; with 304 where the client has that."""
    key = await bed.key()
    task_id = await bed.created(key)
    tag = (await bed.read(key, task_id)).headers["etag"]
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        plain = group.create_task(ask(bed, key, task_id, 0.3))
        has_it = group.create_task(ask(bed, key, task_id, "0.30", '"x"', tag))
        has_any = group.create_task(ask(bed, key, task_id, 0.3, "*"))

    assert time.monotonic() - began_s >= 0.3
    assert plain.result().status_code == 200
    assert plain.result().json()["status"] == "pending"
    for read in (has_it, has_any):
        answer = read.result()
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["retry-after"] == "1"


async def test_a_client_that_has_something_else_does_not_wait(bed: Bed) -> None:
    """The answer differs already."""
    key = await bed.key()
    task_id = await bed.created(key)
    began_s = time.monotonic()

    answer = await ask(bed, key, task_id, LONG_S, '"an-old-one"')

    assert (answer.status_code, time.monotonic() - began_s < AT_ONCE_S) == (200, True)


async def test_a_client_waits_until_the_answer_is_another_than_it_has(bed: Bed) -> None:
    """A change between its last read and this one is none that it would have to wait for."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:8"))
    tag = (await bed.read(key, task_id)).headers["etag"]
    async with asyncio.TaskGroup() as group:
        read = group.create_task(ask(bed, key, task_id, LONG_S, tag))
        await waiting(bed)
        await bed.pass_time(2)
    later = await ask(bed, key, task_id, LONG_S, tag)

    assert read.result().json()["status"] == later.json()["status"] == "processing"


async def test_news_of_other_tasks_answer_nobody(bed: Bed) -> None:
    """Neither another task's nor another tenant's, nor a key that was issued meanwhile."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:9000"))
    async with asyncio.TaskGroup() as group:
        read = group.create_task(ask(bed, key, task_id, 1))
        await waiting(bed)
        await bed.limit("acme", creates_per_minute=50)
        for each in (key, await bed.another_key("acme"), await bed.key("hooli")):
            await bed.created(each, character("seconds:0"))
        await bed.pass_time(5)
        still_waiting = not read.done()

    assert still_waiting
    assert read.result().json()["status"] == "pending"


async def test_many_wait_for_one_task_and_all_are_answered(bed: Bed) -> None:
    """With one look at the task for all that one key has waiting."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(ask(bed, key, task_id, LONG_S)) for _ in range(50)]
        await waiting(bed, 50)
        await bed.gateway.store.redis.config_resetstat()
        await bed.pass_time(5)

    assert {read.result().json()["status"] for read in reads} == {"completed"}
    stats = await bed.gateway.store.redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] < 25


async def test_a_wait_counts_as_one_read(bed: Bed) -> None:
    """However often the task is looked at for it; refused like any other."""
    key = await bed.key(reads_per_second=2)
    task_id = await bed.created(key)

    answers = [await ask(bed, key, task_id, wait) for wait in (0.05, 0, LONG_S)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"reads";r=1;t=1'


@pytest.mark.parametrize("wait", ["61", "-1", "x", "1e1", "5s", "1&wait=2", "30&wait="])
async def test_what_is_no_time_to_wait_is_refused(bed: Bed, wait: str) -> None:
    """With the name of the parameter."""
    key = await bed.key()
    task_id = await bed.created(key)

    answer = await ask(bed, key, task_id, wait)

    assert answer.status_code == 400
    assert (error_of(answer)["reason"], error_of(answer)["param"]) == ("invalid_request", "wait")


@pytest.mark.parametrize("wait", ["", "0", "0.0", "00"])
async def test_no_time_to_wait_is_a_plain_read(bed: Bed, wait: str) -> None:
    """Nobody is kept."""
    key = await bed.key()

    assert (await ask(bed, key, await bed.created(key), wait)).status_code == 200


async def test_waiting_for_what_is_not_ones_own_is_refused_at_once(bed: Bed) -> None:
    """As reading it is."""
    key = await bed.key()
    stranger, tester = await bed.key("hooli"), await bed.another_key("acme", mode="test")
    task_id = await bed.created(key)

    for caller, each in ((stranger, task_id), (tester, task_id), (key, UNKNOWN_ID)):
        answer = await ask(bed, caller, each, LONG_S)
        assert (answer.status_code, error_of(answer)["reason"]) == (404, "task_not_found")


@pytest.mark.parametrize(("ending", "reason"), [("key", "invalid_key"), ("tenant", None)])
async def test_a_caller_that_ends_while_it_waits_is_refused_at_once(
    bed: Bed, ending: str, reason: str | None
) -> None:
    """It is not told what comes after."""
    key = await bed.key()
    task_id = await bed.created(key)
    (issued,) = await bed.gateway.store.keys.of_tenant("acme")
    async with asyncio.TaskGroup() as group:
        read = group.create_task(ask(bed, key, task_id, LONG_S))
        await waiting(bed)
        if ending == "key":
            await bed.revoke("acme", issued.id)
        else:
            await bed.switch("acme", disabled=True)

    assert error_of(read.result())["reason"] == (reason or "tenant_disabled")


async def test_a_client_that_hangs_up_waits_no_more(bed: Bed) -> None:
    """Its place is free at once."""
    key = await bed.key()
    task_id = await bed.created(key)

    path = f"/v1/tasks/{task_id}?wait={LONG_S}"
    async with Listening(bed.app, path, key, put_off=True) as client:
        await waiting(bed)
        client.hang_up()
        await waiting(bed, 0)

    assert client.status == 0


async def test_what_is_about_to_stop_answers_at_once(bed: Bed) -> None:
    """With what there is; whoever comes then does not wait either."""
    key = await bed.key()
    task_id = await bed.created(key)
    tag = (await bed.read(key, task_id)).headers["etag"]
    async with asyncio.TaskGroup() as group:
        plain = group.create_task(ask(bed, key, task_id, LONG_S))
        has_it = group.create_task(ask(bed, key, task_id, LONG_S, tag))
        await waiting(bed, 2)
        began_s = time.monotonic()
        bed.gateway.follow.drain()
    late = await ask(bed, key, task_id, LONG_S)

    assert time.monotonic() - began_s < AT_ONCE_S
    statuses = [each.status_code for each in (plain.result(), has_it.result(), late)]
    assert statuses == [200, 304, 200]
