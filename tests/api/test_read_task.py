"""Reading a task: to its owner as it stands, to everybody else as if it were not."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import pytest

from app.domain.ids import mint_task_id
from app.store.keys import shard_of
from tests.api.asking import UNKNOWN_ID, bearer
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CREATE_PATH, Bed, character


def without_its_id(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return all of an answer but the id of its request."""
    request_id = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content.replace(request_id.encode(), b""), headers


async def read_alias(bed: Bed, key: str, task_id: str) -> httpx2.Response:
    """Read a task where it was created."""
    return await bed.http.get(f"{CREATE_PATH}/{task_id}", headers=[bearer(key)])


@pytest.mark.parametrize(
    ("scenario", "seconds", "status"),
    [
        ("seconds:60", 0, "pending"),
        ("seconds:60", 20, "processing"),
        ("seconds:1", 5, "completed"),
        ("outcome:failed,code:service_error,seconds:1", 5, "failed"),
    ],
)
async def test_the_alias_answers_the_same_bytes(
    bed: Bed, scenario: str, seconds: int, status: str
) -> None:
    """Whichever of the two paths a client asks, in every state of the task."""
    key = await bed.key()
    task_id = await bed.created(key, character(scenario))
    await bed.pass_time(seconds)

    by_task, by_alias = await bed.read(key, task_id), await read_alias(bed, key, task_id)

    assert by_task.json()["status"] == status
    assert without_its_id(by_task) == without_its_id(by_alias)


async def test_a_task_of_another_is_a_task_that_never_was(bed: Bed) -> None:
    """Foreign, unknown, of the other mode, and of a shape never given out: not a byte apart."""
    owner, stranger, neighbour = [await bed.key(name) for name in ("acme", "globex", "hooli")]
    assert shard_of("acme") == shard_of("hooli") != shard_of("globex")
    other_mode = await bed.another_key("acme", mode="test")
    task_id = await bed.created(owner)
    vendor_id = bed.vendor.creates()[0]["created_task_id"]

    answers = [
        await bed.read(owner, UNKNOWN_ID),
        await bed.read(stranger, task_id),
        await bed.read(neighbour, task_id),
        await bed.read(other_mode, task_id),
        await bed.read(owner, vendor_id),
        await bed.read(owner, "task-unified-" + "a" * 5000),
        await bed.read(owner, "task-unified-"),
        await bed.read(owner, task_id.upper().replace("TASK-UNIFIED", "task-unified")),
        await read_alias(bed, stranger, task_id),
    ]

    assert [error_of(answer)["reason"] for answer in answers] == ["task_not_found"] * len(answers)
    assert error_of(answers[0])["param"] == "task_id"
    assert len({str(without_its_id(answer)) for answer in answers}) == 1


async def test_a_create_that_was_refused_leaves_no_id_behind(bed: Bed) -> None:
    """Its record is there for operators; the id was told to nobody, and is unknown."""
    key = await bed.key()
    bed.vendor.fault("status", status=400)
    await bed.create(key)
    [record] = [name async for name in bed.gateway.store.redis.scan_iter(match="rg:*:task:*")]
    task_id = record.decode().rpartition(":")[2]

    answer = await bed.read(key, task_id)

    assert (await bed.stored(task_id))["state"] == "rejected"
    assert error_of(answer)["reason"] == "task_not_found"


@pytest.mark.parametrize("task_id", ["abc", "task-1767917446-abc123", "Task-unified-1", "*", "%00"])
async def test_what_cannot_be_an_id_is_told_apart(bed: Bed, task_id: str) -> None:
    """A client that has mixed up two vendors' ids is told so: 400, not 404."""
    key = await bed.key()

    for answer in (await bed.read(key, task_id), await read_alias(bed, key, task_id)):
        assert answer.status_code == 400
        assert error_of(answer)["reason"] == "invalid_task_id"
        assert error_of(answer)["param"] == "task_id"


async def test_an_id_may_be_percent_encoded(bed: Bed) -> None:
    """Clients encode ids in paths, some of them every character."""
    key = await bed.key()
    task_id = await bed.created(key)
    every_character = "".join(f"%{ord(letter):02x}" for letter in task_id)

    for written in (quote(task_id, safe=""), task_id.replace("-", "%2D"), every_character):
        assert (await bed.read(key, written)).json()["id"] == task_id


async def test_a_query_string_changes_nothing(bed: Bed) -> None:
    """Some clients add a number against caches."""
    key = await bed.key()
    task_id = await bed.created(key)

    plain = await bed.read(key, task_id)
    queried = await bed.read(key, f"{task_id}?t=1767917446&expand=all")

    assert without_its_id(plain) == without_its_id(queried)


async def test_retry_after_is_there_while_it_makes_sense(open_gateway_bed: OpenBed) -> None:
    """An unfinished task names the interval at which its status can change; a finished one none."""
    async with open_gateway_bed(poll={"min_interval_s": 4}) as bed:
        key = await bed.key()
        task_id = await bed.created(key, character("seconds:5"))
        early = await bed.read(key, task_id)
        await bed.pass_time(2)
        halfway = await bed.read(key, task_id)
        await bed.pass_time(10)
        late = await bed.read(key, task_id)

    assert [answer.headers.get("retry-after") for answer in (early, halfway, late)] == [
        "4",
        "4",
        None,
    ]


async def test_retry_after_is_at_least_a_second(open_gateway_bed: OpenBed) -> None:
    """With an interval of a tenth of a second it is not rounded to nothing."""
    async with open_gateway_bed(poll={"min_interval_s": 0.1}) as bed:
        key = await bed.key()
        answer = await bed.read(key, await bed.created(key))

    assert answer.headers["retry-after"] == "1"


async def test_nobody_in_between_keeps_an_answer(bed: Bed) -> None:
    """A proxy's copy would show an old status, or show it to somebody else."""
    key = await bed.key()
    task_id = await bed.created(key)

    answer = await bed.read(key, task_id)

    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-type"] == "application/json"


async def test_reading_asks_the_vendor_nothing(bed: Bed) -> None:
    """However many clients ask however often: the vendor is asked by the engine alone."""
    key = await bed.key()
    task_id = await bed.created(key)

    for _ in range(50):
        await bed.read(key, task_id)

    assert bed.vendor.reads() == []


async def test_the_id_that_was_asked_for_is_the_id_in_the_answer(bed: Bed) -> None:
    """And the vendor's own stands nowhere in it."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:1"))
    vendor_id = bed.vendor.creates()[0]["created_task_id"]
    await bed.pass_time(5)

    answer = await bed.read(key, task_id)

    assert answer.json()["id"] == task_id
    assert vendor_id not in answer.text
    assert answer.json()["created"] == int(task_id.split("-")[2])


async def test_members_of_the_end_are_there_only_at_that_end(bed: Bed) -> None:
    """A client that looks for results or errors before the status is not misled."""
    key = await bed.key()
    scenarios = (
        "seconds:60",
        "seconds:1",
        "outcome:failed,seconds:1",
        "outcome:cancelled,seconds:1",
    )
    ids = [await bed.created(key, character(scenario)) for scenario in scenarios]
    await bed.pass_time(20)

    shown = [(await bed.read(key, task_id)).json() for task_id in ids]

    statuses = [answer["status"] for answer in shown]
    assert statuses == ["processing", "completed", "failed", "failed"]
    for answer in shown:
        assert ("results" in answer) == (answer["status"] == "completed")
        assert ("result_data" in answer) == (answer["status"] == "completed")
        assert ("error" in answer) == (answer["status"] == "failed")
    assert shown[3]["error"]["code"] == "request_cancelled"


def test_the_unknown_id_of_these_tests_has_the_shape_of_real_ones() -> None:
    """Else the comparison with a foreign id would compare two different refusals."""
    assert len(UNKNOWN_ID) == len(mint_task_id(1_767_917_446_000, lambda letters: letters[0]))
