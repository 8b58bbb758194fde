"""An answer is known by its tag, and is not sent twice to a client that has it."""

from __future__ import annotations

import pytest

from tests.api.asking import bearer
from tests.conftest import OpenBed
from tests.support.bed import CREATE_PATH, Bed, character

PATHS = ("/v1/tasks/{}", CREATE_PATH + "/{}")


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_that_the_client_has_is_not_sent_again(bed: Bed, path: str) -> None:
    """304, no body, and everything that tells the client how to go on."""
    key = await bed.key(reads_per_second=9)
    address = path.format(await bed.created(key))
    first = await bed.http.get(address, headers=[bearer(key)])

    again = await bed.http.get(
        address, headers=[bearer(key), ("if-none-match", first.headers["etag"])]
    )

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    for name in ("etag", "cache-control", "retry-after", "ratelimit-policy"):
        assert again.headers[name] == first.headers[name], name
    assert again.headers["cache-control"] == "private, no-cache"
    assert again.headers["ratelimit"] == '"reads";r=7;t=1'
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert "content-length" not in again.headers
    assert "content-type" not in again.headers


async def test_another_answer_has_another_tag(bed: Bed) -> None:
    """A client that names an old one gets the new answer; equal answers are known by one tag."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:8"))
    tags, bodies = [], []
    for seconds in (0, 2, 30, 30):
        await bed.pass_time(seconds)
        headers = [bearer(key), *[("if-none-match", tag) for tag in tags[:1]]]
        answer = await bed.http.get(f"/v1/tasks/{task_id}", headers=headers)
        tags.append(answer.headers["etag"])
        bodies.append(answer.content)

    assert [body != b"" for body in bodies] == [True] * 4
    assert len(set(tags)) == 3
    assert tags[2] == tags[3]


async def test_two_tasks_have_two_tags(bed: Bed) -> None:
    """Whatever they have in common."""
    key = await bed.key()
    reads = [await bed.read(key, await bed.created(key)) for _ in range(2)]

    assert reads[0].headers["etag"] != reads[1].headers["etag"]


async def test_a_tag_is_the_same_in_every_process(open_gateway_bed: OpenBed) -> None:
    """A client that is sent to another process is not sent what it has."""
    async with open_gateway_bed() as one, open_gateway_bed() as other:
        key = await one.key()
        task_id = await one.created(key)
        tag = (await one.read(key, task_id)).headers["etag"]

        headers = [bearer(key), ("if-none-match", tag)]
        answer = await other.http.get(f"/v1/tasks/{task_id}", headers=headers)

    assert answer.status_code == 304


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (["W/{}"], 304),
        (['"a", {}'], 304),
        (['"a"', "{}"], 304),
        (["*"], 304),
        (['"a"'], 200),
        (["a b c"], 200),
        ([""], 200),
    ],
)
async def test_tags_may_come_in_every_form_there_is(bed: Bed, sent: list[str], status: int) -> None:
    """Weak, in a list, on several lines, or any at all; what is no tag is nothing."""
    key = await bed.key()
    task_id = await bed.created(key)
    tag = (await bed.read(key, task_id)).headers["etag"]

    headers = [bearer(key), *(("if-none-match", each.format(tag)) for each in sent)]
    answer = await bed.http.get(f"/v1/tasks/{task_id}", headers=headers)

    assert answer.status_code == status


async def test_a_refusal_is_no_answer_that_a_client_can_have(bed: Bed) -> None:
    """`*` does not turn an unknown task into an unchanged one."""
    key = await bed.key()
    stranger = await bed.key("hooli")
    task_id = await bed.created(key)

    headers = [bearer(stranger), ("if-none-match", "*")]
    answer = await bed.http.get(f"/v1/tasks/{task_id}", headers=headers)

    assert answer.status_code == 404
    assert "etag" not in answer.headers


async def test_a_task_that_is_over_needs_no_other_read(bed: Bed) -> None:
    """Its 304 has no Retry-After, as its 200 has none."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    await bed.pass_time(5)
    tag = (await bed.read(key, task_id)).headers["etag"]

    headers = [bearer(key), ("if-none-match", tag)]
    answer = await bed.http.get(f"/v1/tasks/{task_id}", headers=headers)

    assert answer.status_code == 304
    assert "retry-after" not in answer.headers
