"""Whatever the vendor sends, the caller sees the contract and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed, character
from tests.support.fault_server import Fault, FaultServer

MARKERS = (
    "doctype",
    "<html",
    "bad gateway",
    "padding",
    "xxxx",
    "../",
    "x-injected",
    "5lqy8zzv",
    "elsewhere",
    "evolink",
    "dashboard",
    "\x00",
)
"""Pieces of what the faults below send."""

BAD_ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("malformed", {}),
    ("html", {"status": 200}),
    ("html", {"status": 502}),
    ("html", {"status": 400}),
    ("truncated", {}),
    ("huge", {"mib": 2}),
    ("gzip_bomb", {"mib": 2}),
    ("wrong_type", {"kind": "list"}),
    ("wrong_type", {"kind": "string"}),
    ("redirect", {}),
    ("missing_id", {}),
    ("bad_id", {"kind": "traversal"}),
    ("bad_id", {"kind": "crlf"}),
    ("bad_id", {"kind": "long"}),
    ("bad_id", {"kind": "number"}),
    ("commit_then_status", {"status": 500}),
    ("reject_then_status", {"status": 503}),
]
EACH_BAD_ANSWER = pytest.mark.parametrize(
    ("mode", "params"), BAD_ANSWERS, ids=lambda value: str(value).translate({39: None, 123: None})
)


def found_in(text: str) -> list[str]:
    """Return the markers that stand in an answer."""
    return [marker for marker in MARKERS if marker in text.lower()]


@EACH_BAD_ANSWER
async def test_a_create_with_an_unusable_answer_is_pending(
    bed: Bed, mode: str, params: dict[str, Any]
) -> None:
    """Nobody knows whether the vendor has it, so the task is kept, and looks like any other."""
    key = await bed.key()
    bed.vendor.fault(mode, **params)

    created = await bed.create(key)
    read = await bed.read(key, created.json()["id"])

    assert created.status_code == 200
    assert created.json()["status"] == "pending"
    assert read.content == created.content
    assert found_in(created.text) == []
    assert (await bed.stored(created.json()["id"]))["state"] == "in_doubt"


@EACH_BAD_ANSWER
async def test_an_unusable_report_changes_nothing(
    bed: Bed, mode: str, params: dict[str, Any]
) -> None:
    """One bad read shows what was shown before, and the next good one goes on from there."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:3"))
    bed.vendor.fault(mode, on="report", **params)

    await bed.pass_time(2)
    spoilt = await bed.read(key, task_id)
    bed.vendor.heal()
    await bed.pass_time(12)
    healed = await bed.read(key, task_id)

    assert spoilt.json()["status"] == "pending"
    assert found_in(spoilt.text) == []
    assert len(bed.vendor.reads()) >= 2
    assert healed.json()["status"] == "completed"


@pytest.mark.parametrize(
    "fault", [Fault.GARBAGE, Fault.TRUNCATE_HEAD, Fault.TRUNCATE_BODY, Fault.RESET, Fault.REDIRECT]
)
async def test_an_answer_that_is_not_even_http_is_pending(
    open_gateway_bed: OpenBed, fault: Fault
) -> None:
    """Below HTTP as above it: what was read and not understood may have created."""
    async with (
        FaultServer(fault) as server,
        open_gateway_bed(vendor={"base_url": server.url}) as bed,
    ):
        answer = await bed.create(await bed.key())

    assert answer.json()["status"] == "pending"
    assert server.posts == 1
    assert "not HTTP" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "message",
    [
        "see https://evolink.ai/dashboard/billing",
        "key sk-1234567890abcdef is out of credits",
        "<b>bad</b> request",
        "task-unified-1767917446-5lqy8zzv is broken",
        "ask the people of evolink.ai",
        "",
    ],
)
async def test_words_of_the_vendor_that_name_its_side_are_replaced(bed: Bed, message: str) -> None:
    """Not mended but replaced: half of a secret is a secret."""
    key = await bed.key()
    bed.vendor.fault("status", status=400, message=message, type="vendor_error", code="vendor_code")

    answer = await bed.create(key)

    shown = error_of(answer)
    assert shown["message"] == "The video service refused the request"
    assert "vendor_" not in answer.text.replace("vendor_refused", "")
    assert "fallback_suggestion" not in shown


async def test_no_suggestion_of_the_vendor_is_passed_on(bed: Bed) -> None:
    """Its console is not the caller's to visit."""
    key = await bed.key()
    for status in (400, 402, 404, 413, 429):
        bed.vendor.fault("status", status=status)

        answer = await bed.create(key)

        assert "fallback_suggestion" not in error_of(answer)
        assert found_in(answer.text) == []


async def test_a_failed_task_tells_its_reason_without_the_vendors_name(bed: Bed) -> None:
    """A plain message is shown, one with an address is replaced; the code is the vendor's word."""
    key = await bed.key()
    plain = "outcome:failed,code:generation_timeout,message:It%20took%20too%20long,seconds:1"
    naming = "outcome:failed,code:service_error,message:ask%20evolink.ai,seconds:1"
    ids = [await bed.created(key, character(scenario)) for scenario in (plain, naming)]
    await bed.pass_time(5)

    first, second = [(await bed.read(key, task_id)).json()["error"] for task_id in ids]

    assert first == {
        "code": "generation_timeout",
        "message": "It took too long",
        "type": "task_error",
    }
    assert second == {
        "code": "service_error",
        "message": "The task failed.",
        "type": "task_error",
    }
