"""What a vendor repeats of an earlier task: its id of it reaches nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed, character
from tests.support.dictated_vendor import TASK, DictatedVendor, words

EARLIER_VENDOR_ID = "task-unified-1757169743-dictated"
LATER_VENDOR_ID = "task-unified-1757169800-later"


@dataclass
class Parrot:
    """A gateway before a vendor that repeats what it was sent, and one task that is there."""

    bed: Bed
    key: str
    vendor: DictatedVendor
    earlier_id: str


@pytest.fixture
async def parrot(open_gateway_bed: OpenBed) -> AsyncIterator[Parrot]:
    """The first task goes by the vendor's usual id, the next ones by another."""
    async with (
        DictatedVendor() as vendor,
        open_gateway_bed(vendor={"base_url": vendor.url}) as bed,
    ):
        key = await bed.key()
        earlier_id = await bed.created(key)
        yield Parrot(bed, key, vendor, earlier_id)


ECHOES = [
    {"source_task_id": EARLIER_VENDOR_ID},
    {"input": {"model_params": {"source_task_id": EARLIER_VENDOR_ID}}},
    {"task_info": {"note": f"a remix of {EARLIER_VENDOR_ID}"}},
    {"usage": {"sources": [EARLIER_VENDOR_ID]}},
    {"sources": {EARLIER_VENDOR_ID: 1}},
]


@pytest.mark.parametrize("echo", ECHOES)
async def test_an_echo_of_the_earlier_task_is_not_shown(
    parrot: Parrot, echo: dict[str, Any]
) -> None:
    """A vendor that repeats the request in its answers does not betray its id through ours."""
    said = TASK | {"id": LATER_VENDOR_ID} | echo
    parrot.vendor.of_create = words(said)

    created = await parrot.bed.create(parrot.key, character(source_task_id=parrot.earlier_id))
    parrot.vendor.say(said, status="processing", progress=50)
    await parrot.bed.pass_time(3)
    running = await parrot.bed.read(parrot.key, created.json()["id"])
    parrot.vendor.say(said, status="completed", results=["https://media.example.com/a.mp4"])
    await parrot.bed.pass_time(30)
    over = await parrot.bed.read(parrot.key, created.json()["id"])

    assert parrot.vendor.creates[1].body["source_task_id"] == EARLIER_VENDOR_ID
    assert [answer.json()["status"] for answer in (running, over)] == ["processing", "completed"]
    for answer in (created, running, over):
        assert EARLIER_VENDOR_ID not in answer.text
        assert LATER_VENDOR_ID not in answer.text


@pytest.mark.parametrize("status", [400, 404])
async def test_a_refusal_that_repeats_the_vendors_id_is_shown_without_it(
    parrot: Parrot, status: int
) -> None:
    """Whatever the vendor says of a task under its own id, the caller does not read that id."""
    error = {
        "code": status,
        "message": f"Task {EARLIER_VENDOR_ID} is not completed",
        "type": "invalid_request_error",
        "param": "source_task_id",
    }
    parrot.vendor.of_create = words({"error": error}, status)

    answer = await parrot.bed.create(parrot.key, character(source_task_id=parrot.earlier_id))

    assert (answer.status_code, error_of(answer)["reason"]) == (status, "vendor_refused")
    assert EARLIER_VENDOR_ID not in answer.text


async def test_the_end_of_a_later_task_does_not_show_the_vendors_id(parrot: Parrot) -> None:
    """Not in the error of one that has failed over the earlier one."""
    parrot.vendor.of_create = words(TASK | {"id": LATER_VENDOR_ID})
    later = await parrot.bed.created(parrot.key, character(source_task_id=parrot.earlier_id))
    message = f"source {EARLIER_VENDOR_ID} has expired"
    error = {"code": "invalid_parameters", "message": message, "type": "task_error"}
    parrot.vendor.say(TASK | {"id": LATER_VENDOR_ID}, status="failed", error=error)
    await parrot.bed.pass_time(3)

    answer = await parrot.bed.read(parrot.key, later)

    assert answer.json()["status"] == "failed"
    assert EARLIER_VENDOR_ID not in answer.text
