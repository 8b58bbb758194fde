"""GET /v1/tasks/{id}/events: what a task shows now, every change, and then the end."""

from __future__ import annotations

import pytest

from app.store.keys import NEWS_CHANNEL
from tests.api.asking import UNKNOWN_ID, get
from tests.api.test_live_tenant import tell
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character
from tests.support.events import Listening


def path_of(task_id: str) -> str:
    """Return where a task is followed."""
    return f"/v1/tasks/{task_id}/events"


async def test_a_task_is_followed_from_what_it_shows_to_its_end(bed: Bed) -> None:
    """The stream begins with the present answer and is over after the last; data is the answer."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:8"))
    shown = [(await bed.read(key, task_id)).json()]

    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.heard()
        for seconds, count in ((2, 2), (30, 3)):
            await bed.pass_time(seconds)
            shown.append((await bed.read(key, task_id)).json())
            await stream.heard(count)
        await stream.ended()

    assert [event.data for event in stream.events] == shown
    names = ["task.pending", "task.processing", "task.completed"]
    assert [event.name for event in stream.events] == names
    assert len({event.id for event in stream.events}) == 3
    assert stream.text.retry_ms == 2_000


async def test_the_answer_is_one_that_nothing_on_the_way_keeps(bed: Bed) -> None:
    """An event stream with the request's id, which caches and proxies leave alone."""
    key = await bed.key(reads_per_second=5)
    task_id = await bed.created(key)

    async with Listening(bed.app, path_of(task_id), key, x_request_id="stream-4711") as stream:
        await stream.heard()

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.headers["x-request-id"] == "stream-4711"
    assert stream.headers["ratelimit"] == '"reads";r=4;t=1'


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_task_that_is_over_is_shown_once(bed: Bed, outcome: str) -> None:
    """Whoever comes late gets the end, and the end of the stream."""
    key = await bed.key()
    task_id = await bed.created(key, character(f"seconds:0,outcome:{outcome}"))
    await bed.pass_time(5)

    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.ended()

    assert [event.name for event in stream.events] == [f"task.{outcome}"]
    assert stream.events[0].data == (await bed.read(key, task_id)).json()


async def test_whoever_was_cut_off_goes_on_where_it_was(bed: Bed) -> None:
    """What was told meanwhile is told, and nothing twice: not even what the task shows now."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:8"))
    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.heard()
    await bed.pass_time(2)
    await bed.pass_time(30)

    last_id = stream.text.last_id
    async with Listening(bed.app, path_of(task_id), key, last_event_id=last_id) as resumed:
        await resumed.ended()

    assert [event.name for event in resumed.events] == ["task.processing", "task.completed"]


async def test_whoever_has_the_end_gets_nothing_more(bed: Bed) -> None:
    """The stream is over at once, also where news of other tasks have come since."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    await bed.pass_time(5)
    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.ended()
    last_id = stream.text.last_id
    await bed.created(key)

    async with Listening(bed.app, path_of(task_id), key, last_event_id=last_id) as resumed:
        await resumed.ended()

    assert (resumed.status, resumed.events) == (200, [])


@pytest.mark.parametrize("last_id", ["1-0", "nonsense", "9999999999999-0", "é"])
async def test_an_id_that_is_not_known_begins_anew(bed: Bed, last_id: str) -> None:
    """With what the task shows now."""
    key = await bed.key()
    task_id = await bed.created(key)

    async with Listening(bed.app, path_of(task_id), key, last_event_id=last_id) as stream:
        (event,) = await stream.heard()

    assert event.data == (await bed.read(key, task_id)).json()
    assert event.id


async def test_only_the_one_task_is_told_of(bed: Bed) -> None:
    """Others of the tenant go by."""
    key = await bed.key()
    followed = await bed.created(key, character("seconds:0"))
    async with Listening(bed.app, path_of(followed), key) as stream:
        for _ in range(3):
            await bed.created(key, character("seconds:0"))
        await bed.pass_time(5)
        await stream.ended()

    assert {event.data["id"] for event in stream.events} == {followed}


async def test_a_quiet_task_is_followed_while_thousands_of_others_change(bed: Bed) -> None:
    """That nothing of them was for this stream does not mean that it has fallen behind."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    async with (
        Listening(bed.app, path_of(task_id), key) as quiet,
        Listening(bed.app, "/v1/events", key) as busy,
    ):
        for number in range(1, 3):
            await tell(bed, 700)
            await bed.gateway.store.redis.publish(NEWS_CHANNEL, "acme live t")
            await busy.heard(700 * number)
        await bed.pass_time(5)
        await quiet.ended()

    assert [event.name for event in quiet.events] == ["task.pending", "task.completed"]


async def test_a_queued_task_is_followed_through_the_queue(bed: Bed) -> None:
    """It shows its place; that it has left is news."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    await bed.created(key, character("seconds:0"))
    task_id = await bed.created(key, character("seconds:0"))

    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.heard()
        await bed.pass_time(3)
        await bed.pass_time(3)
        await bed.pass_time(3)
        await stream.ended()

    assert stream.events[0].data["task_info"]["queue_position"] == 1
    assert [event.data["task_info"]["can_cancel"] for event in stream.events][:2] == [True, False]
    assert stream.events[-1].name == "task.completed"


async def test_a_cancelled_task_ends_its_stream(bed: Bed) -> None:
    """It has failed, by its owner's wish."""
    key = await bed.key(tasks_in_flight=0, when_full="queue")
    task_id = await bed.created(key)
    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.heard()
        await bed.http.post(
            f"/v1/tasks/{task_id}/cancel", headers={"authorization": f"Bearer {key}"}
        )
        await stream.ended()

    assert stream.events[-1].name == "task.failed"
    assert stream.events[-1].data["error"]["code"] == "request_cancelled"


async def test_test_keys_follow_their_own_tasks(bed: Bed) -> None:
    """As live ones do, and neither sees the other's."""
    live, test = await bed.key(), await bed.another_key("acme", mode="test")
    task_id = await bed.created(test, character("seconds:2"))

    async with Listening(bed.app, path_of(task_id), test) as stream:
        await bed.pass_time(60)
        await stream.ended()

    assert stream.events[-1].name == "task.completed"
    assert (await get(bed, live, path_of(task_id))).status_code == 404


async def test_a_refusal_is_answered_as_everywhere(bed: Bed) -> None:
    """What is wrong before the stream begins is an ordinary answer."""
    key = await bed.key(reads_per_second=4)
    stranger = await bed.key("hooli")
    task_id = await bed.created(key)
    asked = [
        (key, path_of(UNKNOWN_ID), 404, "task_not_found"),
        (key, path_of("video-1"), 400, "invalid_task_id"),
        (stranger, path_of(task_id), 404, "task_not_found"),
        ("rg_live_x", path_of(task_id), 401, "invalid_key"),
    ]

    for token, path, status, reason in asked:
        answer = await get(bed, token, path)
        assert (answer.status_code, error_of(answer)["reason"]) == (status, reason)


async def test_a_stream_counts_as_one_read(bed: Bed) -> None:
    """However much is told in it; the next one has to wait."""
    key = await bed.key(reads_per_second=1)
    task_id = await bed.created(key)

    async with Listening(bed.app, path_of(task_id), key) as stream:
        await stream.heard()
        refused = await get(bed, key, path_of(task_id))

    assert (refused.status_code, error_of(refused)["reason"]) == (429, "rate_limited")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", [path_of(UNKNOWN_ID), "/v1/events"])
async def test_a_stream_can_only_be_got(bed: Bed, method: str, path: str) -> None:
    """The head of an answer without end says nothing."""
    answer = await bed.http.request(method, path, headers={"authorization": "Bearer x"})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


async def test_the_alias_has_no_stream(bed: Bed) -> None:
    """Clients of the vendor know none."""
    key = await bed.key()

    answer = await get(bed, key, f"{CREATE_PATH}/{await bed.created(key)}/events")

    assert (answer.status_code, error_of(answer)["reason"]) == (404, "unknown_path")
