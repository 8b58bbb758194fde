"""Calling a task off: free before it is sent, refused afterwards, and never a guess."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app import failpoints
from tests.api.asking import UNKNOWN_ID, ask_batch, bearer, shown
from tests.api.rates import BOTH
from tests.support.answers import error_of
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character

PRICE = 100_000
QUEUEING = {"tasks_in_flight": 1, "when_full": "queue"}
LONG = character("seconds:900")


async def cancel(bed: Bed, key: str, task_id: str) -> httpx2.Response:
    """Ask for a task to be called off."""
    return await bed.http.post(f"/v1/tasks/{task_id}/cancel", headers=[bearer(key)])


async def line_of(bed: Bed, count: int, **limits: Any) -> tuple[str, str, list[str]]:
    """Return a key, the task in its tenant's only slot, and tasks that wait behind it."""
    key = await bed.key(**{**QUEUEING, **limits})
    running = await bed.created(key, LONG)
    return key, running, [await bed.created(key, LONG) for _ in range(count)]


def refused(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and reason of a refusal."""
    return answer.status_code, error_of(answer)["reason"]


async def test_a_task_that_waits_is_called_off_for_nothing(bed: Bed, redis_url: str) -> None:
    """Its tenant sees it failed and cancelled, its hold is free, and the vendor never saw it."""
    key, _, (task_id,) = await line_of(bed, 1)

    answer = await cancel(bed, key, task_id)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["id"], body["status"], body["progress"]) == (task_id, "failed", 0)
    assert body["error"]["code"] == "request_cancelled"
    assert body["error"]["type"] == "task_error"
    assert body["task_info"]["can_cancel"] is False
    assert "queue_position" not in body["task_info"]
    assert body["usage"]["credits_used"] == 0
    assert (await bed.read(key, task_id)).content == answer.content
    assert (await bed.usage())["held"] == PRICE
    assert len(bed.vendor.creates()) == 1
    assert audit(read_books(redis_url), bed.vendor.journal()) == []


async def test_a_cancelled_task_is_on_the_lists_of_failed_and_cancelled(bed: Bed) -> None:
    """And on that of all tasks, with what it shows."""
    key, _, (task_id,) = await line_of(bed, 1)
    answer = await cancel(bed, key, task_id)

    lists = {
        status: [
            each["id"] for each in (await shown(bed, key, f"/v1/tasks?status={status}"))["data"]
        ]
        for status in ("cancelled", "failed", "processing")
    }

    assert lists["cancelled"] == lists["failed"] == [task_id]
    assert task_id not in lists["processing"]
    assert answer.json()["error"]["code"] == "request_cancelled"


async def test_cancelling_again_answers_the_same(bed: Bed) -> None:
    """A client whose answer was lost may ask again; nothing is released or counted twice."""
    key, _, (task_id,) = await line_of(bed, 1)

    answers = [await cancel(bed, key, task_id) for _ in range(3)]

    counted = bed.gateway.metrics.registry.get_sample_value(
        "reelgate_tasks_finished_total", {"state": "cancelled"}
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (await bed.usage())["held"] == PRICE
    assert counted == 1


@pytest.mark.parametrize("state", ["submitted", "completed", "failed", "in_doubt", "sending"])
async def test_a_task_that_was_sent_cannot_be_cancelled(bed: Bed, state: str) -> None:
    """409 `cannot_cancel`, and nothing about it changes: the vendor bills what it makes."""
    key = await bed.key()
    task_id = await _task_in_state(bed, key, state)
    before = await bed.stored(task_id)

    answer = await cancel(bed, key, task_id)

    assert refused(answer) == (409, "cannot_cancel")
    assert await bed.stored(task_id) == before
    assert before["state"] == state


async def _task_in_state(bed: Bed, key: str, state: str) -> str:
    outcome = "outcome:failed,code:service_error,seconds:1" if state == "failed" else "seconds:1"
    if state == "in_doubt":
        bed.vendor.fault("commit_then_close", times=1)
    if state == "sending":
        failpoints.arm({"submit.admitted": "raise"})
        await bed.create(key, idempotency_key="one")
        failpoints.arm({})
        bed.clock.advance_ms(31_000)
        return await bed.created(key, idempotency_key="one")
    task_id = await bed.created(key, character(outcome))
    if state in ("completed", "failed"):
        await bed.pass_time(5)
    return task_id


async def test_a_task_that_left_the_queue_cannot_be_cancelled(bed: Bed) -> None:
    """Until its turn it could be; `can_cancel` says so at every moment."""
    key = await bed.key(**QUEUEING)
    await bed.created(key, character("seconds:1"))
    task_id = await bed.created(key, LONG)
    waiting = (await bed.read(key, task_id)).json()
    await bed.pass_time(2)
    await bed.pass_time(1)
    sent = (await bed.read(key, task_id)).json()

    answer = await cancel(bed, key, task_id)

    assert refused(answer) == (409, "cannot_cancel")
    assert waiting["task_info"]["can_cancel"] is True
    assert sent["task_info"]["can_cancel"] is False


async def test_a_foreign_task_is_an_unknown_task(bed: Bed) -> None:
    """The same 404 for another tenant's, the other mode's and nobody's; nothing is called off."""
    owner, _, (task_id,) = await line_of(bed, 1)
    stranger = await bed.key("globex")
    other_mode = await bed.another_key("acme", mode="test")

    answers = [
        await cancel(bed, stranger, task_id),
        await cancel(bed, other_mode, task_id),
        await cancel(bed, owner, UNKNOWN_ID),
        await cancel(bed, owner, "task-unified-"),
    ]

    assert {refused(answer) for answer in answers} == {(404, "task_not_found")}
    assert len({error_of(answer)["message"] for answer in answers}) == 1
    assert (await bed.stored(task_id))["state"] == "queued"


async def test_what_cannot_be_an_id_is_refused_as_such(bed: Bed) -> None:
    """As on every route that takes an id."""
    answer = await cancel(bed, await bed.key(), "video-123")

    assert answer.status_code == 400
    assert error_of(answer)["param"] == "task_id"


@pytest.mark.parametrize("shut_out", ["revoked", "disabled", "nobody"])
async def test_who_may_not_read_may_not_cancel(bed: Bed, shut_out: str) -> None:
    """A revoked key, a disabled tenant, no key at all: the task waits on."""
    key, _, (task_id,) = await line_of(bed, 1)
    if shut_out == "revoked":
        await bed.revoke("acme", (await bed.stored(task_id))["key"])
    if shut_out == "disabled":
        await bed.switch("acme", disabled=True)

    answer = await cancel(bed, "nonsense" if shut_out == "nobody" else key, task_id)

    assert answer.status_code == (403 if shut_out == "disabled" else 401)
    assert (await bed.stored(task_id))["state"] == "queued"


async def test_positions_are_told_alike_wherever_a_task_is_shown(bed: Bed) -> None:
    """Create, read and batch say the same place; a list shows its own short form."""
    key, running, ids = await line_of(bed, 3)

    read = [(await bed.read(key, each)).json()["task_info"] for each in ids]
    batch = (await ask_batch(bed, key, {"task_ids": [running, *ids]})).json()["data"]
    listed = (await shown(bed, key, "/v1/tasks"))["data"]

    assert [each["queue_position"] for each in read] == [1, 2, 3]
    assert [each["task_info"] for each in batch[1:]] == read
    assert all(each["can_cancel"] for each in read)
    assert batch[0]["task_info"]["can_cancel"] is False
    assert "queue_position" not in batch[0]["task_info"]
    assert {each["status"] for each in listed} == {"pending"}
    assert all("queue_position" not in each for each in listed)


async def test_whoever_waits_behind_a_cancelled_task_moves_up(bed: Bed) -> None:
    """The first answer to a create stays what it was; a read tells the place of now."""
    key = await bed.key(**QUEUEING)
    await bed.created(key, LONG)
    first = await bed.created(key, LONG)
    second = await bed.create(key, LONG, idempotency_key="two")

    await cancel(bed, key, first)

    now = (await bed.read(key, second.json()["id"])).json()
    replay = await bed.create(key, LONG, idempotency_key="two")
    assert (second.json()["task_info"]["queue_position"], now["task_info"]["queue_position"]) == (
        2,
        1,
    )
    assert replay.content == second.content


async def test_a_replayed_create_of_a_cancelled_task_is_its_first_answer(bed: Bed) -> None:
    """It was accepted, so the repetition creates nothing new."""
    key = await bed.key(**QUEUEING)
    await bed.created(key, LONG)
    first = await bed.create(key, LONG, idempotency_key="one")
    await cancel(bed, key, first.json()["id"])

    again = await bed.create(key, LONG, idempotency_key="one")

    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content


async def test_a_cancel_counts_as_a_read(bed: Bed) -> None:
    """It tells the caller how it stands with its reads, also where it is refused."""
    key, running, (task_id,) = await line_of(bed, 1, **BOTH)

    answers = [await cancel(bed, key, task_id), await cancel(bed, key, running)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert all(answer.headers["ratelimit"].startswith('"reads"') for answer in answers)
    assert all("creates" in answer.headers["ratelimit-policy"] for answer in answers)


async def test_a_room_in_the_queue_is_free_after_a_cancel(bed: Bed) -> None:
    """The bound of the queue counts who waits now."""
    key, _, (task_id,) = await line_of(bed, 1, max_queued=1)
    full = await bed.create(key, LONG)

    await cancel(bed, key, task_id)

    assert refused(full) == (429, "queue_full")
    assert int(full.headers["retry-after"]) > 0
    assert (await bed.create(key, LONG)).status_code == 200
