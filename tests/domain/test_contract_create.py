"""The answer to a create: every documented field, under our id, with the tenant's money."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain import contract
from app.domain.pricing import MAX_CREDITS, PER_CREDIT
from app.domain.tenant import TENANT_GROUP
from tests.domain.samples import (
    GROUP,
    HELD,
    MODEL,
    TASK_ID,
    VENDOR_CREATED,
    VENDOR_ID,
    pending,
    reread,
)
from tests.support.properties import checked

PENDING = {
    "created": 1767917446,
    "id": TASK_ID,
    "model": "sora-character",
    "object": "video.generation.task",
    "progress": 0,
    "status": "pending",
    "task_info": {"can_cancel": False, "estimated_time": 150, "video_duration": 8},
    "type": "video",
    "usage": {"billing_rule": "per_call", "credits_reserved": 0.25, "user_group": GROUP},
}


def created(**changes: Any) -> dict[str, Any]:
    """Return the answer to a create to which the vendor said its usual, with changes."""
    report = VENDOR_CREATED | changes
    return reread(contract.created_answer(pending(), report, vendor_id=VENDOR_ID, held=HELD))


def test_before_the_vendor_answers_every_field_is_there():
    """A create that answers early looks like any other."""
    assert reread(pending()) == PENDING


def test_the_vendors_answer_shows_through():
    """Its model and times are shown; id, time of creation, money, group and promises are ours."""
    assert created() == PENDING | {
        "task_info": {"can_cancel": False, "estimated_time": 160, "video_duration": 9}
    }


def test_an_answer_with_the_least_fields_is_filled_up():
    """Some models answer with id and status alone."""
    report = {"id": VENDOR_ID, "status": "pending"}

    answer = contract.created_answer(pending(), report, vendor_id=VENDOR_ID, held=HELD)

    assert reread(answer) == PENDING


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "sora-character-beta"),
        ("object", "video.generation.task.v2"),
        ("type", "image"),
        ("draft_expires_at", 1767999999),
        ("duration", 206),
        ("new_field", {"deep": [1, {"er": None}]}),
    ],
)
def test_a_field_we_do_not_decide_about_passes_through(field, value):
    """What the vendor adds tomorrow reaches callers without a release of ours."""
    assert created(**{field: value})[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "task-unified-1-x"),
        ("created", 5),
        ("created", "yesterday"),
        ("progress", -1),
        ("status", "queued"),
        ("status", 7),
        ("status", None),
        ("error", {"code": "service_error", "message": "x"}),
        ("results", ["https://example.com/early.mp4"]),
        ("result_data", {"character_name": "early#"}),
        ("request_id", "req-1"),
        ("trace_id", "trace-1"),
        ("callback_url", "https://gateway.example.com/vendor/callback/x"),
        ("model", None),
        ("object", None),
        ("type", None),
        ("usage", None),
        ("usage", "free"),
        ("usage", {"credits_reserved": 99, "user_group": "vip"}),
        ("usage", {"credits_used": 99}),
    ],
)
def test_a_field_we_decide_about_does_not(field, value):
    """Whatever the vendor says there, the answer is the same."""
    assert created(**{field: value}) == created()


@pytest.mark.parametrize("word", ["processing", "PROCESSING"])
def test_a_task_begun_at_once_is_processing(word):
    """The vendor need not queue."""
    assert created(status=word, progress=10) | {"task_info": 0} == PENDING | {
        "status": "processing",
        "progress": 10,
        "task_info": 0,
    }


@pytest.mark.parametrize("word", ["completed", "failed", "cancelled", "queued", "", "x" * 9999])
def test_a_new_task_has_not_ended(word):
    """Its end is told by the first status read, with the money settled."""
    answer = created(status=word, progress=100, results=["https://example.com/a.mp4"])

    assert answer["status"] == "pending"
    assert answer["progress"] < 100
    assert answer.keys() == PENDING.keys()


@pytest.mark.parametrize(
    "task_info", [None, [], "soon", 5, {}, {"can_cancel": True}, {"can_cancel": "yes"}]
)
def test_what_has_left_for_the_vendor_cannot_be_cancelled(task_info):
    """Whatever the vendor says of it: the gateway cannot keep that promise."""
    assert created(task_info=task_info)["task_info"]["can_cancel"] is False


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (0, 0),
        (45, 45),
        (45.9, 45),
        (99, 99),
        (100, 99),
        (10**30, 99),
        (10**400, 99),
        (-(10**400), 0),
        (1e300, 99),
        (-5, 0),
        (-1e300, 0),
        (True, 0),
        ("45", 0),
        (None, 0),
        ([45], 0),
        ({}, 0),
    ],
)
def test_progress_is_a_whole_number_below_the_end(progress, shown):
    """100 is kept for a task that is completed."""
    answer = created(progress=progress)

    assert answer["progress"] == shown
    assert type(answer["progress"]) is int


def test_figures_of_a_tenants_name_are_the_tenants():
    """Some clients fall back to a figure at the top of the answer: the vendor's is not there."""
    answer = created(credits_reserved=13.5, credits_used=13.5, user_group="vip")

    assert answer == created()


def test_other_figures_of_usage_pass_through():
    """Real answers carry a `cost`, and clients read it."""
    cost = {"credits": 13.5, "usd": 0.199, "cny": 1.35}

    assert created(usage={"cost": cost})["usage"] == PENDING["usage"] | {"cost": cost}


@pytest.mark.parametrize(
    ("held", "shown"),
    [(0, "0"), (1, "1e-06"), (100_000, "0.1"), (7_000_000, "7"), (25_700_001, "25.700001")],
)
def test_credits_are_a_plain_json_number(held, shown):
    """Whole amounts without a decimal point, as the vendor writes them."""
    encoded = contract.encode(pending(held))

    assert f'"credits_reserved":{shown},'.encode() in encoded


@checked
@given(held=st.integers(0, MAX_CREDITS * PER_CREDIT))
@example(held=MAX_CREDITS * PER_CREDIT)
@example(held=MAX_CREDITS * PER_CREDIT - 1)
def test_credits_are_shown_to_the_microcredit(held):
    """No amount that can be held is rounded on the way into JSON."""
    shown = json.loads(contract.encode(pending(held)), parse_float=Decimal, parse_int=Decimal)

    assert shown["usage"]["credits_reserved"] * PER_CREDIT == held


@checked
@given(group=st.from_regex(TENANT_GROUP, fullmatch=True), held=st.integers(0, 10**12))
def test_the_group_fits_between_the_halves(group, held):
    """The store, which alone knows the group, puts together the same bytes as we would."""
    head, tail = contract.pending_around_group(TASK_ID, MODEL, held=held)

    whole = contract.encode(contract.pending_answer(TASK_ID, MODEL, held=held, group=group))

    assert head + group.encode() + tail == whole


@pytest.mark.parametrize("text", ["é😀", "\u2028", '"\\/', "\x00\x1f"])
def test_an_answer_is_compact_utf8(text):
    """As few bytes as can be, since every reader is sent them."""
    encoded = contract.encode({"a": [1, text]})

    assert json.loads(encoded.decode()) == {"a": [1, text]}
    assert not re.search(rb"[:,] ", encoded)
