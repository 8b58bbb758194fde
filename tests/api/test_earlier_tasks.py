"""Creates that name an earlier task: by our id here, by its own id at the vendor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.asking import UNKNOWN_ID, post_bytes, shown
from tests.support.answers import error_of
from tests.support.bed import Bed, character

REMIX = {"model": "sora-2-pro-remix", "prompt": "the same by night"}
DRAFT = {"model": "seedance-2.5-draft-to-video"}
EXTEND = {"model": "veo3.1-fast-extend", "prompt": "and then it rains"}
ANY = character()

PLACES = [
    pytest.param(REMIX, "base_video_task_id", id="remix"),
    pytest.param(DRAFT, "source_task_id", id="draft"),
    pytest.param(EXTEND, "base_video_task_id", id="extend"),
    pytest.param(ANY, "base_video_task_id", id="any model, base"),
    pytest.param(ANY, "source_task_id", id="any model, source"),
    pytest.param(ANY, "model_params.source_task_id", id="any model, nested"),
]
"""Every place where a body may name an earlier task."""

NESTED = "model_params.source_task_id"


def naming(body: dict[str, Any], path: str, task: Any) -> dict[str, Any]:
    """Return a create body that has `task` at `path`."""
    outer, _, name = path.rpartition(".")
    if not outer:
        return body | {name: task}
    return body | {outer: {"seed": 7, name: task}}


def named_in(body: dict[str, Any], path: str) -> Any:
    """Return what a body has at `path`."""
    found: Any = body
    for name in path.split("."):
        found = found[name]
    return found


@dataclass
class Earlier:
    """A task of `acme` that is over: our id of it, and the vendor's."""

    bed: Bed
    key: str
    id: str
    vendor_id: str

    async def nothing_came_of_it(self) -> None:
        """Fail where a create besides that of the earlier task has left a trace."""
        listed = await shown(self.bed, self.key, "/v1/tasks")
        figures = await self.bed.usage()
        slots = [
            name
            async for name in self.bed.gateway.store.redis.scan_iter(match="rg:*:slots:*:live:*")
        ]
        assert [entry["id"] for entry in listed["data"]] == [self.id]
        assert (figures["tasks"], figures["held"]) == (1, 0)
        assert slots == []
        assert len(self.bed.vendor.creates()) == 1


@pytest.fixture
async def earlier(bed: Bed) -> Earlier:
    """One completed task at a vendor that has heard of nothing else."""
    key = await bed.key("acme")
    task_id = await bed.created(key, character("seconds:1"))
    await bed.pass_time(5)
    return Earlier(bed, key, task_id, bed.vendor.creates()[0]["created_task_id"])


@pytest.mark.parametrize(("body", "path"), PLACES)
async def test_the_vendor_hears_its_own_id(
    earlier: Earlier, body: dict[str, Any], path: str
) -> None:
    """And never ours; all else of the body reaches it as it was written."""
    sent = naming(body, path, earlier.id)

    answer = await earlier.bed.create(earlier.key, sent)

    heard = earlier.bed.vendor.creates()[1]["body"]
    assert answer.status_code == 200, answer.text
    assert heard == naming(body, path, earlier.vendor_id)
    assert earlier.id not in json.dumps(earlier.bed.vendor.journal())


@pytest.mark.parametrize(("body", "path"), PLACES)
async def test_no_answer_shows_the_vendors_id(
    earlier: Earlier, body: dict[str, Any], path: str
) -> None:
    """Neither that of the create nor any read of the task that came of it."""
    created = await earlier.bed.create(earlier.key, naming(body, path, earlier.id))
    reads = []
    for _ in range(3):
        reads.append(await earlier.bed.read(earlier.key, created.json()["id"]))
        await earlier.bed.pass_time(400)

    assert reads[-1].json()["status"] == "completed"
    for answer in (created, *reads):
        assert earlier.vendor_id not in answer.text


async def test_numbers_beside_an_earlier_task_keep_their_spelling(earlier: Earlier) -> None:
    """The body is written anew for the vendor, digit by digit as it came."""
    ours = earlier.id.encode()
    body = (
        b'{"model":"sora-character","video_url":"https://example.com/video.mp4","a":1.50,'
        b'"model_params":{"b":1e2,"source_task_id":"' + ours + b'","c":12345678901234567890.10}}'
    )

    answer = await post_bytes(earlier.bed, earlier.key, body)

    record = earlier.bed.vendor.creates()[1]
    written = body.replace(ours, earlier.vendor_id.encode())
    assert answer.status_code == 200, answer.text
    assert record["body"]["model_params"]["source_task_id"] == earlier.vendor_id
    assert record["body_bytes"] == len(written)


async def test_several_fields_are_each_translated(earlier: Earlier) -> None:
    """Two tasks in three places of one body."""
    bed = earlier.bed
    second = await bed.created(earlier.key)
    vendor_id = bed.vendor.creates()[1]["created_task_id"]
    body = character(base_video_task_id=earlier.id, source_task_id=second)

    await bed.created(earlier.key, naming(body, NESTED, earlier.id))

    heard = bed.vendor.creates()[2]["body"]
    assert heard["base_video_task_id"] == earlier.vendor_id
    assert heard["source_task_id"] == vendor_id
    assert named_in(heard, NESTED) == earlier.vendor_id


@pytest.mark.parametrize(
    "scenario", ["seconds:600", "outcome:failed,seconds:1", "outcome:cancelled,seconds:1"]
)
async def test_the_earlier_task_may_be_in_any_state_the_vendor_knows(
    bed: Bed, scenario: str
) -> None:
    """Whether one can build on it is for the vendor to say."""
    key = await bed.key()
    task_id = await bed.created(key, character(scenario))
    await bed.pass_time(20)

    answer = await bed.create(key, character(source_task_id=task_id))

    first, second = bed.vendor.creates()
    assert answer.status_code == 200
    assert second["body"]["source_task_id"] == first["created_task_id"]


@pytest.mark.parametrize(("body", "path"), PLACES)
async def test_a_task_of_others_is_one_that_never_was(
    earlier: Earlier, body: dict[str, Any], path: str
) -> None:
    """Foreign, unknown, of the other mode, the vendor's own id of an own task, no id at all:

    404 with the field's path, not a byte apart but for the request's id; nothing comes of it.
    """
    bed = earlier.bed
    other_mode = await bed.another_key("acme", mode="test")
    neighbour, stranger = await bed.key("hooli"), await bed.key("globex")
    of_test = await bed.created(other_mode)
    ours_in_vendors_shape = "task-unified-1767917446-5lqy8zzv"
    tries = [
        (earlier.key, UNKNOWN_ID),
        (neighbour, earlier.id),
        (stranger, earlier.id),
        (other_mode, earlier.id),
        (earlier.key, of_test),
        (earlier.key, earlier.vendor_id),
        (earlier.key, ours_in_vendors_shape),
        (earlier.key, ""),
        (earlier.key, "0"),
        (earlier.key, earlier.id.upper()),
        (earlier.key, earlier.id + " "),
        (earlier.key, earlier.id + "\x00"),
        (earlier.key, f"../{earlier.id}"),
        (earlier.key, "task-unified-" + "a" * 5000),
    ]

    answers = [await bed.create(key, naming(body, path, task)) for key, task in tries]

    bodies = set()
    for answer in answers:
        assert answer.status_code == 404, answer.text
        assert (error_of(answer)["reason"], error_of(answer)["param"]) == ("task_not_found", path)
        bodies.add(answer.content.replace(answer.headers["x-request-id"].encode(), b""))
    assert len(bodies) == 1
    await earlier.nothing_came_of_it()


@pytest.mark.parametrize(("body", "path"), PLACES)
@pytest.mark.parametrize("value", [5, 1.5, True, [UNKNOWN_ID], {"id": UNKNOWN_ID}, []])
async def test_what_is_no_text_is_refused(
    earlier: Earlier, body: dict[str, Any], path: str, value: Any
) -> None:
    """400 with the field's path."""
    answer = await earlier.bed.create(earlier.key, naming(body, path, value))

    assert answer.status_code == 400, answer.text
    assert (error_of(answer)["reason"], error_of(answer)["param"]) == ("invalid_request", path)
    await earlier.nothing_came_of_it()


@pytest.mark.parametrize("path", ["base_video_task_id", "source_task_id", NESTED])
async def test_null_names_no_task(earlier: Earlier, path: str) -> None:
    """As everywhere, it means that the field is absent."""
    answer = await earlier.bed.create(earlier.key, naming(ANY, path, None))

    assert answer.status_code == 200


async def test_null_is_not_enough_where_a_task_is_needed(earlier: Earlier) -> None:
    """A remix of nothing is refused before anything is touched."""
    answer = await earlier.bed.create(earlier.key, naming(REMIX, "base_video_task_id", None))

    assert (answer.status_code, error_of(answer)["param"]) == (400, "base_video_task_id")
    await earlier.nothing_came_of_it()


@pytest.mark.parametrize(
    "params",
    ["text", 5, [{"source_task_id": UNKNOWN_ID}], {"inner": {"source_task_id": "x"}}, None],
)
async def test_only_the_known_places_are_looked_at(earlier: Earlier, params: Any) -> None:
    """The same name elsewhere is a field like any other, and goes to the vendor as it is."""
    answer = await earlier.bed.create(earlier.key, character(model_params=params))

    heard = earlier.bed.vendor.creates()[1]["body"]
    assert answer.status_code == 200, answer.text
    assert heard.get("model_params") == params


async def test_a_task_that_the_vendor_has_not_taken_cannot_be_built_on(bed: Bed) -> None:
    """Its outcome is not known, so there is no id to send; the caller is told to wait."""
    key = await bed.key()
    bed.vendor.fault("commit_then_reset", times=1)
    doubtful = await bed.created(key)

    answer = await bed.create(key, character(source_task_id=doubtful))

    assert answer.status_code == 400
    assert (error_of(answer)["reason"], error_of(answer)["param"]) == (
        "invalid_request",
        "source_task_id",
    )
    assert "not been taken" in error_of(answer)["message"]
    assert len(bed.vendor.creates()) == 1
    assert (await bed.usage())["tasks"] == 1


@pytest.mark.unaudited("its tasks are forgotten in the end")
async def test_a_forgotten_task_cannot_be_built_on(earlier: Earlier) -> None:
    """After its thirty days it is unknown here too."""
    await earlier.bed.pass_time(31 * 86_400)

    answer = await earlier.bed.create(earlier.key, character(source_task_id=earlier.id))

    assert (answer.status_code, error_of(answer)["param"]) == (404, "source_task_id")


async def test_a_test_key_builds_on_its_own_tasks(bed: Bed) -> None:
    """Within the built-in sandbox; the vendor hears of neither."""
    await bed.key("acme")
    key = await bed.another_key("acme", mode="test")
    first = await bed.created(key, character("seconds:1"))
    second = await bed.created(key, character("seconds:1", source_task_id=first))
    await bed.pass_time(20)

    assert (await bed.read(key, second)).json()["status"] == "completed"
    assert bed.vendor.journal() == []


async def test_another_key_of_the_tenant_may_build_on_it(earlier: Earlier) -> None:
    """Tasks are the tenant's, not the key's."""
    key = await earlier.bed.another_key("acme")

    await earlier.bed.created(key, character(source_task_id=earlier.id))

    assert earlier.bed.vendor.creates()[1]["body"]["source_task_id"] == earlier.vendor_id


async def test_a_repeated_create_is_answered_as_before(earlier: Earlier) -> None:
    """Byte for byte, with one create at the vendor; another earlier task is another request."""
    bed, body = earlier.bed, character(source_task_id=earlier.id)
    first = await bed.create(earlier.key, body, idempotency_key="remix-1")
    again = await bed.create(earlier.key, body, idempotency_key="remix-1")
    other = character(source_task_id=first.json()["id"])
    conflict = await bed.create(earlier.key, other, idempotency_key="remix-1")

    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    assert error_of(conflict)["reason"] == "idempotency_conflict"
    assert len(bed.vendor.creates()) == 2


@pytest.mark.unaudited("its tasks are forgotten in the end")
async def test_a_repeated_create_outlives_the_task_it_names(earlier: Earlier) -> None:
    """The first 200 is given again for a day, also where the earlier task is forgotten by then."""
    bed, body = earlier.bed, character("seconds:1", source_task_id=earlier.id)
    await bed.pass_time(30 * 86_400 - 60)
    first = await bed.create(earlier.key, body, idempotency_key="remix-1")
    await bed.pass_time(3600)

    again = await bed.create(earlier.key, body, idempotency_key="remix-1")

    assert (await bed.read(earlier.key, earlier.id)).status_code == 404
    assert again.status_code == 200, again.text
    assert again.content == first.content
    assert len(bed.vendor.creates()) == 2


async def test_a_refusal_under_a_name_is_not_remembered(earlier: Earlier) -> None:
    """The same Idempotency-Key may be used with the right id afterwards."""
    bed = earlier.bed
    refused = await bed.create(
        earlier.key, character(source_task_id=UNKNOWN_ID), idempotency_key="remix-1"
    )
    answer = await bed.create(
        earlier.key, character(source_task_id=earlier.id), idempotency_key="remix-1"
    )

    assert (refused.status_code, answer.status_code) == (404, 200)
