"""Programs that read a few members of an answer, each from where it is used to find them."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.asking import UNKNOWN_ID
from tests.dropin.callers import Caller, dig, first_of, jq_error_or_message
from tests.support.bed import CHARACTER, Bed, character
from tests.support.dictated_vendor import TASK, DictatedVendor

LINK = "https://media.example.com/a.mp4"

RESULT_DATA: list[Any] = [
    None,
    [{"url": LINK}],
    [{"video_url": LINK}],
    {"video_url": LINK},
]
"""The shapes in which the vendor gives a result beside `results`."""

HABITS: list[list[tuple[str | int, ...]]] = [
    [("results", 0)],
    [("results", 0), ("result_data", 0, "url")],
    [("result_data", 0, "url"), ("result_data", 0, "video_url"), ("results", 0)],
    [("result_data", "video_url"), ("results", 0)],
    [("output", "video_url"), ("video_url",), ("url",), ("results", 0)],
    [("data", "video_url"), ("results", 0)],
]
"""Where programs look for the link, in the order in which they do."""

ID_PATTERNS = [
    r"^task-unified-[a-z0-9-]+$",
    r"^task-unified-[A-Za-z0-9_-]{8,180}$",
    r"^task-unified-\d{10}-[a-z0-9]+$",
    r"^[A-Za-z0-9._:-]{1,128}$",
]
"""How programs check an id before they use it."""

BAD_CALLS: list[tuple[str, str, Any, dict[str, str]]] = [
    ("POST", "/videos/generations", {"model": "sora-character"}, {}),
    ("POST", "/videos/generations", {"model": "no-such-model"}, {}),
    ("POST", "/videos/generations", [], {}),
    ("POST", "/videos/generations", CHARACTER, {"Authorization": "Bearer sk-wrong"}),
    ("POST", "/videos/generations", CHARACTER, {"Content-Type": "text/plain"}),
    ("PUT", "/videos/generations", CHARACTER, {}),
    ("GET", "/tasks/abc", None, {}),
    ("GET", f"/tasks/{UNKNOWN_ID}", None, {}),
    ("GET", f"/images/generations/{UNKNOWN_ID}", None, {}),
    ("GET", "/nowhere", None, {}),
]


@pytest.mark.parametrize("result_data", RESULT_DATA, ids=str)
async def test_the_link_is_where_each_program_looks_for_it(
    dictated_bed: Bed, dictated: DictatedVendor, result_data: Any
) -> None:
    """Whichever of the shapes the vendor uses, and whichever place is looked at first."""
    key = await dictated_bed.key()
    task_id = await dictated_bed.created(key)
    dictated.say(TASK, status="completed", progress=100, results=[LINK], result_data=result_data)
    await dictated_bed.pass_time(2)

    answer = (await dictated_bed.read(key, task_id)).json()

    assert [first_of(answer, habit) for habit in HABITS] == [LINK] * len(HABITS)


async def test_a_program_that_reads_result_data_alone_finds_a_character(
    bed: Bed, caller: Caller
) -> None:
    """Name and picture stand where the model's page shows them, and the picture in `results`."""
    task_id = (await caller.create(character("seconds:1"))).json["id"]
    await bed.pass_time(5)

    answer = (await caller.task(task_id)).json

    assert answer["result_data"]["character_name"].endswith("#")
    assert answer["result_data"]["profile_picture_url"] == answer["results"][0]


async def test_nothing_is_found_before_the_end(caller: Caller) -> None:
    """A program that takes the first link it sees must not see one early."""
    created = await caller.create(character("seconds:60"))
    read = await caller.task(created.json["id"])

    for answer in (created.json, read.json):
        assert [first_of(answer, habit) for habit in HABITS] == [None] * len(HABITS)
        assert first_of(answer, [("error", "message"), ("error",), ("message",)]) is None


async def test_a_program_that_shows_the_wait_and_the_price_finds_them(
    bed: Bed, caller: Caller
) -> None:
    """Seconds to wait are whole; the price is a number, reserved at first and used in the end."""
    created = (await caller.create(character("seconds:1"))).json
    await bed.pass_time(5)
    ended = (await caller.task(created["id"])).json

    assert first_of(created, [("id",), ("task_id",)]) == ended["id"]
    assert dig(created, "task_info", "estimated_time") == 150
    assert first_of(created, [("usage", "credits_reserved"), ("credits_reserved",)]) == 0.1
    assert first_of(ended, [("usage", "credits_used"), ("usage", "cost", "credits")]) == 0.1


async def test_a_program_that_shows_why_a_task_failed_finds_it(bed: Bed, caller: Caller) -> None:
    """Over HTTP it is a 200; code and message are words."""
    scenario = "outcome:failed,code:content_policy_violation,seconds:1"
    task_id = (await caller.create(character(scenario))).json["id"]
    await bed.pass_time(5)

    reply = await caller.task(task_id)

    assert reply.ok
    assert reply.json["status"] == "failed"
    assert dig(reply.json, "error", "code") == "content_policy_violation"
    assert isinstance(dig(reply.json, "error", "message"), str)


async def test_ids_pass_every_pattern_that_is_in_use(caller: Caller) -> None:
    """And begin as those do by which some programs choose their provider."""
    task_id = (await caller.create(CHARACTER)).json["id"]

    assert [pattern for pattern in ID_PATTERNS if not re.search(pattern, task_id)] == []
    assert task_id.startswith("task-unified-")


@pytest.mark.parametrize(
    "written",
    [
        lambda task_id: task_id,
        lambda task_id: quote(task_id, safe=""),
        lambda task_id: task_id.replace("-", "%2D"),
    ],
    ids=["plain", "encoded", "encoded more than needed"],
)
async def test_the_answer_has_the_id_that_was_asked_for(caller: Caller, written: Any) -> None:
    """Programs compare the two, and write the id into the path percent-encoded."""
    task_id = (await caller.create(CHARACTER)).json["id"]

    reply = await caller.task(written(task_id))

    assert reply.ok
    assert reply.json["id"] == task_id


async def test_every_success_is_exactly_200(bed: Bed, caller: Caller) -> None:
    """201 and 202 would be failures to a shell script: created, repeated, doubtful, read, ended."""
    name = {"Idempotency_Key": "order-4711"}
    replies = [await caller.create(character("seconds:1"), **name) for _ in range(2)]
    replies.append(await caller.task(replies[0].json["id"]))
    bed.vendor.fault("commit_then_status", status=500)
    replies.append(await caller.create(CHARACTER))
    bed.vendor.heal()
    await bed.pass_time(5)
    replies.append(await caller.task(replies[0].json["id"]))

    assert [reply.status for reply in replies] == [200] * 5
    assert all(reply.ok for reply in replies)


@pytest.mark.parametrize(("method", "path", "body", "headers"), BAD_CALLS, ids=str)
async def test_a_program_that_parses_first_meets_json(
    caller: Caller, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    """Whatever goes wrong: each of the ways in which errors are dug out leads to words."""
    reply = await caller.call(method, path, body, **headers)

    assert not reply.ok
    assert isinstance(dig(reply.json, "error", "message"), str)
    assert isinstance(dig(reply.json, "error", "code"), int)
    assert isinstance(dig(reply.json, "error", "type"), str)
    assert jq_error_or_message(json.dumps(reply.json)) == reply.json["error"]
    assert reply.json["error"]["message"] in str(reply.json["error"])


@pytest.mark.parametrize("mode", ["html", "malformed", "truncated", "reset", "redirect"])
async def test_a_program_that_parses_first_meets_json_when_the_vendor_sends_none(
    bed: Bed, caller: Caller, mode: str
) -> None:
    """A page of HTML from the other side goes no further than the gateway."""
    bed.vendor.fault(mode)

    reply = await caller.create(CHARACTER)

    assert isinstance(reply.json, dict)
    assert "id" in reply.json or isinstance(dig(reply.json, "error", "message"), str)
