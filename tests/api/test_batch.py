"""Reading up to fifty tasks at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import UNKNOWN_ID, ask_batch, bearer
from tests.support.answers import error_of
from tests.support.bed import Bed, character

PATH = "/v1/tasks/batch"


async def asked(bed: Bed, key: str, *task_ids: str) -> list[dict[str, Any]]:
    """Return the tasks that a batch read of these ids answers with."""
    answer = await ask_batch(bed, key, {"task_ids": list(task_ids)})
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"data"}
    tasks: list[dict[str, Any]] = answer.json()["data"]
    return tasks


async def test_each_task_is_what_reading_it_alone_answers(bed: Bed) -> None:
    """Byte for byte, in every status."""
    key = await bed.key()
    scenarios = ("seconds:1", "outcome:failed,seconds:1", "outcome:cancelled,seconds:1", "")
    ids = [await bed.created(key, character(scenario)) for scenario in scenarios]
    await bed.pass_time(3)
    ids.append(await bed.created(key))

    together = await ask_batch(bed, key, {"task_ids": ids})
    alone = [(await bed.read(key, task_id)).content for task_id in ids]

    assert together.content == b'{"data":[' + b",".join(alone) + b"]}"


async def test_the_order_is_that_of_the_ids(bed: Bed) -> None:
    """And a task that is asked for twice is answered once, at its first place."""
    key = await bed.key()
    a, b, c = [await bed.created(key) for _ in range(3)]

    tasks = await asked(bed, key, c, a, c, b, a)

    assert [task["id"] for task in tasks] == [c, a, b]


async def test_what_is_not_the_callers_own_is_left_out(bed: Bed) -> None:
    """Unknown, foreign, of the other mode, the vendor's, malformed: none of them is an error."""
    key = await bed.key("acme")
    own = await bed.created(key)
    vendor_id = bed.vendor.creates()[0]["created_task_id"]
    foreign = [await bed.created(await bed.key(name)) for name in ("hooli", "globex")]
    of_test = await bed.created(await bed.another_key("acme", mode="test"))
    malformed = ["", "*", "job-1", "task-unified-", own.upper(), own + " ", "\x00", "x" * 10_000]

    tasks = await asked(bed, key, UNKNOWN_ID, *foreign, of_test, vendor_id, own, *malformed)

    assert [task["id"] for task in tasks] == [own]


async def test_a_list_without_ids_is_answered_with_none(bed: Bed) -> None:
    """It is a read of nothing."""
    answer = await ask_batch(bed, await bed.key(), {"task_ids": []})

    assert (answer.status_code, answer.content) == (200, b'{"data":[]}')


async def test_fifty_ids_are_read_at_once_and_no_more(bed: Bed) -> None:
    """Repetitions count: the limit is on what is sent."""
    key = await bed.key()
    own = await bed.created(key)

    most = await asked(bed, key, *[own] * 50)
    answer = await ask_batch(bed, key, {"task_ids": [own] * 51})

    assert [task["id"] for task in most] == [own]
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "task_ids"
    assert "51 ids, at most 50" in error_of(answer)["message"]


async def test_fifty_different_tasks_are_answered(bed: Bed) -> None:
    """None is dropped on the way."""
    key = await bed.key()
    ids = [await bed.created(key) for _ in range(50)]

    assert [task["id"] for task in await asked(bed, key, *ids)] == ids


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "task_ids"),
        ({"task_ids": None}, "task_ids"),
        ({"task_ids": UNKNOWN_ID}, "task_ids"),
        ({"task_ids": {UNKNOWN_ID: True}}, "task_ids"),
        ({"task_ids": 5}, "task_ids"),
        ({"ids": [UNKNOWN_ID]}, "task_ids"),
        ({"task_ids": [5]}, "task_ids[0]"),
        ({"task_ids": [UNKNOWN_ID, None]}, "task_ids[1]"),
        ({"task_ids": [UNKNOWN_ID, UNKNOWN_ID, [UNKNOWN_ID]]}, "task_ids[2]"),
        ({"task_ids": [*[UNKNOWN_ID] * 49, True]}, "task_ids[49]"),
    ],
)
async def test_anything_but_a_list_of_texts_is_refused(bed: Bed, body: Any, param: str) -> None:
    """The place of the first that is wrong is named."""
    answer = await ask_batch(bed, await bed.key(), body)

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "invalid_request"
    assert error_of(answer)["param"] == param


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "malformed_json"),
        (b"[]", "malformed_json"),
        (b'{"task_ids":[', "malformed_json"),
        (b'{"task_ids":[],"task_ids":[]}', "malformed_json"),
        (b'\xef\xbb\xbf{"task_ids":[]}', "malformed_json"),
    ],
)
async def test_the_body_is_as_strict_as_that_of_a_create(
    bed: Bed, content: bytes, reason: str
) -> None:
    """One reading of JSON for all routes."""
    headers = [bearer(await bed.key()), ("content-type", "application/json")]

    answer = await bed.http.post(PATH, content=content, headers=headers)

    assert (answer.status_code, error_of(answer)["reason"]) == (400, reason)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_not_called_json_is_refused(bed: Bed, kind: str) -> None:
    """415, also without a content type."""
    headers = [bearer(await bed.key()), *([("content-type", kind)] if kind else [])]

    answer = await bed.http.post(PATH, content=b'{"task_ids":[]}', headers=headers)

    assert (answer.status_code, error_of(answer)["reason"]) == (415, "unsupported_media_type")


async def test_members_that_mean_nothing_here_are_ignored(bed: Bed) -> None:
    """As everywhere in this contract."""
    key = await bed.key()
    own = await bed.created(key)

    answer = await ask_batch(bed, key, {"expand": [1, {}], "task_ids": [own], "limit": None})

    assert [task["id"] for task in answer.json()["data"]] == [own]


async def test_a_task_that_was_refused_within_its_create_is_left_out(bed: Bed) -> None:
    """Its id was told to nobody, but one may guess."""
    key = await bed.key()
    bed.vendor.fault("status", status=400, times=1)
    await bed.create(key)
    [record] = [name async for name in bed.gateway.store.redis.scan_iter(match="rg:*:task:*")]

    assert await asked(bed, key, record.decode().rpartition(":")[2]) == []


@pytest.mark.unaudited("its tasks are forgotten in the end")
async def test_a_forgotten_task_is_left_out(bed: Bed) -> None:
    """Thirty days after its end."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:1"))
    await bed.pass_time(20)

    before = await asked(bed, key, task_id)
    await bed.pass_time(31 * 86_400)

    assert [task["status"] for task in before] == ["completed"]
    assert await asked(bed, key, task_id) == []


async def test_reading_a_batch_asks_the_vendor_nothing(bed: Bed) -> None:
    """It is answered from what the engine has read."""
    key = await bed.key()
    task_id = await bed.created(key)

    for _ in range(20):
        await asked(bed, key, task_id)

    assert bed.vendor.reads() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_batch_is_only_posted(bed: Bed, method: str) -> None:
    """A GET goes to the task of that name, which no task can have."""
    key = await bed.key()

    wrong = await bed.http.request(method, PATH, headers=[bearer(key)])
    got = await bed.http.get(PATH, headers=[bearer(key)])

    assert wrong.status_code == 405
    assert set(wrong.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST"}
    assert error_of(got)["reason"] == "invalid_task_id"


async def test_nobody_in_between_keeps_a_batch(bed: Bed) -> None:
    """The headers are those of a single read."""
    answer = await ask_batch(bed, await bed.key(), {"task_ids": []})

    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-type"] == "application/json"
