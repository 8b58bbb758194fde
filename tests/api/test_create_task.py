"""Creating a task: what goes to the vendor, and what the caller is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.asking import post_bytes
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import CHARACTER, Bed, character
from tests.support.fault_server import Fault, FaultServer

BODY = b'{"model":"sora-character","video_url":"https://example.com/video.mp4"'

DOCUMENTED: dict[str, Any] = {
    "created": int,
    "id": str,
    "model": str,
    "object": str,
    "progress": int,
    "status": str,
    "task_info": {"can_cancel": bool, "estimated_time": int, "video_duration": int},
    "type": str,
    "usage": {"billing_rule": str, "credits_reserved": float, "user_group": str},
}
"""The members of the vendor's published answer with their types; `result_data` comes at the end."""


def types_in(value: Any) -> Any:
    """Return `value` with every leaf replaced by its type."""
    if isinstance(value, dict):
        return {name: types_in(item) for name, item in value.items()}
    return type(value)


async def test_the_answer_has_the_documented_members_and_no_others(bed: Bed) -> None:
    """A strict client of the vendor finds every member, of the right type, and none too many."""
    answer = await bed.create(await bed.key())

    assert answer.status_code == 200
    assert types_in(answer.json()) == DOCUMENTED


async def test_the_answer_says_what_was_asked_for(bed: Bed) -> None:
    """The values that do not depend on the vendor's mood are the published ones."""
    shown = (await bed.create(await bed.key())).json()

    assert re.fullmatch(r"task-unified-[0-9]{10}-[0-9a-z]{25}", shown["id"])
    assert shown["created"] == bed.clock.now_ms() // 1000 == int(shown["id"].split("-")[2])
    assert shown["model"] == "sora-character"
    assert shown["object"] == "video.generation.task"
    assert shown["type"] == "video"
    assert (shown["status"], shown["progress"]) == ("pending", 0)
    assert shown["task_info"] == {"can_cancel": False, "estimated_time": 150, "video_duration": 8}
    assert shown["usage"] == {
        "billing_rule": "per_call",
        "credits_reserved": 0.1,
        "user_group": "default",
    }


async def test_an_unanswered_create_shows_the_same_members(bed: Bed) -> None:
    """Also where the vendor's answer was lost, nobody can tell from the shape."""
    bed.vendor.fault("commit_then_close")

    answer = await bed.create(await bed.key())

    assert types_in(answer.json()) == DOCUMENTED
    assert answer.json()["status"] == "pending"


async def test_a_test_key_gets_the_same_answer_for_nothing(bed: Bed) -> None:
    """The sandbox in this process stands in for the vendor, and no credit is held."""
    answer = await bed.create(await bed.key(mode="test"))

    assert types_in(answer.json()) == {
        **DOCUMENTED,
        "usage": {**DOCUMENTED["usage"], "credits_reserved": int},
    }
    assert answer.json()["usage"]["credits_reserved"] == 0
    assert bed.vendor.journal() == []


async def test_an_answer_to_a_create_is_kept_by_nobody(bed: Bed) -> None:
    """It is the caller's own."""
    answer = await bed.create(await bed.key())

    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-type"] == "application/json"


async def test_what_the_vendor_may_know_and_the_gateway_does_not_is_forwarded(bed: Bed) -> None:
    """Fields of tomorrow, and fields of other models, reach the vendor as they were given."""
    more = {"remove_watermark": True, "duration": 10, "style": {"mood": ["calm", None], "é": "ü"}}

    await bed.created(await bed.key(), character(**more))

    assert bed.vendor.creates()[0]["body"] == {**CHARACTER, **more}


async def test_numbers_reach_the_vendor_as_they_were_spelled(open_gateway_bed: OpenBed) -> None:
    """1.10 stays 1.10: what the caller signed or compares is not rewritten on the way."""
    numbers = b'"a":1.10,"b":1E2,"c":12345678901234567890123,"d":-0.0,"e":[1.0,1]'
    async with (
        FaultServer(Fault.ANSWER) as server,
        open_gateway_bed(vendor={"base_url": server.url}) as bed,
    ):
        await post_bytes(bed, await bed.key(), BODY + b"," + numbers + b"}")

    assert numbers in server.seen[0].body


async def test_the_vendor_is_told_nothing_of_the_caller(bed: Bed) -> None:
    """Neither key nor id nor address of the caller leaves; the vendor sees one gateway."""
    key = await bed.key()
    task_id = await bed.created(
        key,
        idempotency_key="order-4711",
        x_request_id="trace-of-acme",
        cookie="session=abc",
        x_forwarded_for="192.0.2.7",
        user_agent="acme-app/1.0",
    )

    sent = str(bed.vendor.creates()[0])
    leaked = (key, task_id, "order-4711", "trace-of-acme", "session=abc", "192.0.2.7", "acme")
    assert [text for text in leaked if text in sent] == []


async def test_a_callback_address_stays_here(bed: Bed) -> None:
    """The gateway calls it back itself: the vendor is sent everything but this."""
    body = character(callback_url="https://example.com/done?sig=1")

    await bed.created(await bed.key(), body)

    (heard,) = bed.vendor.creates()
    assert heard["body"] == character()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://example.com/done", "https"),
        ("https://127.0.0.1/done", "public"),
        ("https://example.com:8443/done", "443"),
        ("https://me:secret@example.com/done", "user"),
        (17, "string"),
    ],
)
async def test_a_callback_address_that_may_not_be_called_is_refused(
    bed: Bed, address: object, told: str
) -> None:
    """At once and by name, before anything is held or sent; a password in it is not repeated."""
    answer = await bed.create(await bed.key(), character(callback_url=address))

    assert answer.status_code == 400
    assert error_of(answer)["param"] == "callback_url"
    assert told in error_of(answer)["message"]
    assert "secret" not in answer.text
    assert bed.vendor.journal() == []


async def test_null_means_absent(bed: Bed) -> None:
    """An optional field that is null is as if it were not there."""
    await bed.created(await bed.key(), character(callback_url=None, timestamps=None))

    assert "callback_url" not in bed.vendor.creates()[0]["body"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 1}, "model"),
        ({"model": ["sora-character"]}, "model"),
        ({"video_url": None}, "video_url"),
        ({"video_url": 1}, "video_url"),
        ({"video_url": ""}, "video_url"),
        ({"video_url": "example.com/video.mp4"}, "video_url"),
        ({"video_url": "ftp://example.com/video.mp4"}, "video_url"),
        ({"video_url": "https://example.com/video.avi"}, "video_url"),
        ({"video_url": "https://localhost/video.mp4"}, "video_url"),
        ({"video_url": "https://192.168.0.1/video.mp4"}, "video_url"),
        ({"timestamps": "0,3"}, "timestamps"),
        ({"timestamps": [0, 2]}, "timestamps"),
        ({"timestamps": ""}, "timestamps"),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named(
    bed: Bed, fields: dict[str, Any], param: str
) -> None:
    """`param` is the field and the message says the rule; nothing was sent, held or counted."""
    key = await bed.key(credits_per_day="1", creates_per_minute=1)

    answer = await bed.create(key, character(**fields))

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "invalid_request"
    assert error_of(answer)["param"] == param
    assert param in error_of(answer)["message"]
    assert bed.vendor.journal() == []
    await bed.created(key)
