"""What the vendor's documented answers become for a caller: passed on, under our id and money."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import pytest

from tests.conftest import OpenBed
from tests.contract.comparing import differences, values
from tests.contract.pairs import PAIRS, Pair, answered_by
from tests.support.answers import error_of
from tests.support.bed import CHARACTER, Bed
from tests.support.dictated_vendor import TASK, DictatedVendor, words

TOLD: Final = [pair for pair in answered_by("sandbox") if not pair.is_error]
CREATES: Final = [pair for pair in TOLD if pair.is_create]
READS: Final = [pair for pair in TOLD if not pair.is_create]
ENDS: Final = {pair.answer["status"]: pair for pair in READS}
RELAYED: Final = [pair for pair in PAIRS if pair.relayed]

EARLIER_ID: Final = "task-unified-1757169000-earlier1"

OURS: Final = {
    "id": "the gateway's own ids alone are shown",
    "created": "the second in the gateway's id",
    "task_info.can_cancel": "nothing that has left for the vendor can be cancelled here",
    "usage.credits_reserved": "the tenant's hold, by the operator's prices",
    "usage.credits_used": "what the tenant is charged, by the operator's prices",
    "usage.user_group": "the tenant's group, not the gateway's at the vendor",
}
"""Members whose value is never the vendor's; they are there, and have the documented type."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway, a key for it, and the vendor whose words are dictated."""

    bed: Bed
    key: str
    vendor: DictatedVendor

    async def create(self, body: dict[str, Any]) -> httpx2.Response:
        """Send a create."""
        return await self.bed.create(self.key, body)

    async def read(self, task_id: str) -> httpx2.Response:
        """Let the engine ask the vendor, then read the task."""
        await self.bed.pass_time(2)
        return await self.bed.read(self.key, task_id)


@pytest.fixture
async def stage(open_gateway_bed: OpenBed) -> AsyncIterator[Stage]:
    """A gateway in front of a vendor that says what a test dictates."""
    async with (
        DictatedVendor() as vendor,
        open_gateway_bed(vendor={"base_url": vendor.url}) as bed,
    ):
        yield Stage(bed, await bed.key(), vendor)


def changed_values(pair: Pair, given: dict[str, Any]) -> Iterator[str]:
    """Name every value that is neither the vendor's nor by decision ours."""
    shown = dict(values(given))
    for path, value in values(pair.answer):
        is_excepted = any(path == left or path.startswith(f"{left}.") for left in pair.excepted)
        if path not in OURS and not is_excepted and shown.get(path) != value:
            yield f"{path}: the vendor said {value!r}, the caller is told {shown.get(path)!r}"


def as_said_of(pair: Pair) -> dict[str, Any]:
    """Return a pair's answer about the task that the vendor has just created."""
    return {**pair.answer, "id": TASK["id"]}


@pytest.mark.parametrize("pair", CREATES, ids=lambda pair: pair.name)
async def test_a_create_is_answered_with_the_documented_members(stage: Stage, pair: Pair) -> None:
    """Of every model, also where the vendor's page leaves out what others have."""
    body = dict(pair.asked_body or {})
    if pair.earlier:
        body[pair.earlier] = (await stage.create(CHARACTER)).json()["id"]
    stage.vendor.of_create = words(pair.answer)

    answer = await stage.create(body)

    assert answer.status_code == pair.status, answer.text
    assert list(differences(pair.answer, answer.json(), pair.excepted)) == []
    assert list(changed_values(pair, answer.json())) == []
    assert answer.json().keys().isdisjoint(pair.excepted)


@pytest.mark.parametrize(
    "pair", [pair for pair in CREATES if not pair.earlier], ids=lambda p: p.name
)
async def test_the_vendor_gets_the_documented_request(stage: Stage, pair: Pair) -> None:
    """Member by member what the caller sent, and nothing more."""
    stage.vendor.of_create = words(pair.answer)

    await stage.create(pair.asked_body or {})

    (heard,) = stage.vendor.creates
    assert heard.body == pair.asked_body


@pytest.mark.unaudited("the vendor gives one id to all tasks")
@pytest.mark.parametrize("pair", [pair for pair in CREATES if pair.earlier], ids=lambda p: p.name)
async def test_an_earlier_task_goes_to_the_vendor_by_the_vendors_id(
    stage: Stage, pair: Pair
) -> None:
    """The caller knows its own id alone, and the vendor its own."""
    task_id = (await stage.create(CHARACTER)).json()["id"]

    await stage.create({**(pair.request or {}), pair.earlier: task_id})

    assert stage.vendor.creates[-1].body == {**(pair.request or {}), pair.earlier: TASK["id"]}


@pytest.mark.parametrize(
    "pair", [pair for pair in CREATES if pair.earlier], ids=lambda pair: pair.name
)
async def test_an_earlier_task_that_the_vendor_names_is_not_shown_by_the_vendors_id(
    stage: Stage, pair: Pair
) -> None:
    """A vendor that repeats what it was asked must not tell the caller an id it has no use for."""
    stage.vendor.of_create = words(TASK | {"id": EARLIER_ID})
    task_id = (await stage.create(CHARACTER)).json()["id"]
    stage.vendor.of_create = words(TASK | {pair.earlier: EARLIER_ID})
    stage.vendor.say(TASK, status="processing", input={pair.earlier: EARLIER_ID})

    created = await stage.create({**(pair.request or {}), pair.earlier: task_id})
    read = await stage.read(created.json()["id"])

    assert read.json()["status"] == "processing"
    for answer in (created, read):
        assert EARLIER_ID not in answer.text


@pytest.mark.parametrize("can_cancel", [True, None])
async def test_nothing_is_offered_that_cannot_be_done(
    stage: Stage, can_cancel: bool | None
) -> None:
    """The vendor's pages offer cancelling and have no call for it; here it is not offered."""
    task_info = {"can_cancel": can_cancel, "estimated_time": 300}
    stage.vendor.of_create = words(TASK | {"task_info": task_info})
    stage.vendor.say(TASK, task_info=task_info, status="processing")

    created = (await stage.create(CHARACTER)).json()
    read = (await stage.read(created["id"])).json()

    for told in (created, read):
        assert told["task_info"]["can_cancel"] is False
        assert told["task_info"]["estimated_time"] == 300


@pytest.mark.parametrize("pair", CREATES, ids=lambda pair: pair.name)
async def test_the_sandbox_gives_what_is_documented(bed: Bed, pair: Pair) -> None:
    """So what is tried against the imitation is tried against the documents."""
    key = await bed.key()
    body = dict(pair.asked_body or {})
    if pair.earlier:
        body[pair.earlier] = await bed.created(key)

    answer = await bed.create(key, body)

    assert answer.status_code == pair.status, answer.text
    assert list(differences(pair.answer, answer.json(), pair.excepted)) == []


@pytest.mark.parametrize("pair", READS, ids=lambda pair: pair.name)
async def test_a_read_is_answered_with_the_documented_members(stage: Stage, pair: Pair) -> None:
    """In every state of a task, and for every code of a failure."""
    task_id = (await stage.create(CHARACTER)).json()["id"]
    stage.vendor.of_read = words(as_said_of(pair))

    answer = await stage.read(task_id)

    assert answer.status_code == pair.status
    assert answer.json()["id"] == task_id
    assert list(differences(pair.answer, answer.json())) == []
    assert list(changed_values(pair, answer.json())) == []
    assert answer.json().items() >= pair.shown.get("body", {}).items()


@pytest.mark.parametrize("pair", ENDS.values(), ids=ENDS.keys())
async def test_what_belongs_to_one_end_is_shown_at_that_end_alone(stage: Stage, pair: Pair) -> None:
    """Also if the vendor writes an error beside results, as one example on its pages does."""
    task_id = (await stage.create(CHARACTER)).json()["id"]
    stage.vendor.say(
        {
            "results": ["https://example.com/a.mp4"],
            "result_data": {"character_name": "a#"},
            "error": {"code": "content_policy_violation", "message": "no"},
        }
        | as_said_of(pair)
    )

    told = (await stage.read(task_id)).json()

    assert ("results" in told) == ("result_data" in told) == (told["status"] == "completed")
    assert ("error" in told) == (told["status"] == "failed")
    if told["status"] == "failed":
        assert told["error"]["type"] == "task_error"


@pytest.mark.parametrize(
    "pair", [pair for pair in RELAYED if pair.is_create], ids=lambda pair: pair.name
)
async def test_a_create_that_the_vendor_refuses_is_told_as_it_concerns_the_caller(
    stage: Stage, pair: Pair
) -> None:
    """Its own faults are passed on; what is about our key is not; a 5xx leaves the task alive."""
    stage.vendor.of_create = words(pair.answer, pair.status)
    said, expected = pair.answer["error"], pair.relayed

    answer = await stage.create(expected.get("request", pair.request))

    assert answer.status_code == expected["status"], answer.text
    assert len(stage.vendor.creates) == 1
    if answer.status_code == 200:
        assert answer.json()["status"] == "pending"
        return
    given = error_of(answer)
    assert (given["type"], given["reason"]) == (expected["type"], expected["reason"])
    assert "evolink" not in answer.text
    if expected["reason"] == "vendor_refused":
        assert given["message"] == said["message"]
        assert given.get("param") == said.get("param")
    else:
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    "pair", [pair for pair in RELAYED if not pair.is_create], ids=lambda pair: pair.name
)
async def test_a_read_that_the_vendor_refuses_changes_nothing(stage: Stage, pair: Pair) -> None:
    """The caller goes on reading the task as it was; the vendor is asked again later."""
    task_id = (await stage.create(CHARACTER)).json()["id"]
    before = await stage.bed.read(stage.key, task_id)
    stage.vendor.of_read = words(pair.answer, pair.status)

    refused = await stage.read(task_id)

    assert len(stage.vendor.reads) == 1
    assert refused.status_code == pair.relayed["status"] == 200
    assert json.loads(refused.content) == json.loads(before.content)
