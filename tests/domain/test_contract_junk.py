"""A vendor that sends junk: the answer keeps its promises, and nothing of the vendor leaks."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain import contract
from app.domain.task import judge
from tests.domain.samples import HELD, TASK_ID, VENDOR_ID, pending, task
from tests.support.properties import TEXTS, checked, json_values

KNOWN_NAMES = [
    "id",
    "created",
    "model",
    "object",
    "type",
    "progress",
    "status",
    "task_info",
    "usage",
    "results",
    "result_data",
    "error",
    "request_id",
    "duration",
]
INNER_NAMES = [
    "can_cancel",
    "estimated_time",
    "video_duration",
    "billing_rule",
    "credits_reserved",
    "credits_used",
    "user_group",
    "cost",
    "credits",
    "code",
    "message",
    "type",
    "url",
    "request_id",
]
WORDS = ["pending", "processing", "completed", "failed", "cancelled", "queued"]


def junk(texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for reports whose known fields hold anything at all."""
    inner = st.dictionaries(st.sampled_from(INNER_NAMES) | texts, json_values(texts), max_size=4)
    return st.dictionaries(
        st.sampled_from(KNOWN_NAMES) | texts,
        inner | json_values(texts) | st.sampled_from(WORDS),
        max_size=8,
    )


def both_answers(report: dict[str, Any]) -> list[bytes]:
    """Return what a caller is sent if the vendor says so on a create, and then on a read."""
    created = contract.created_answer(pending(), report, vendor_id=VENDOR_ID, held=HELD)
    verdict = judge(str(report.get("status")), was_processing=False, used=None)
    read = contract.task_answer(task(created), report, verdict, charged=HELD)
    return [contract.encode(created), contract.encode(read)]


@checked
@given(report=junk())
def test_the_promised_fields_keep_their_types(report):
    """Whatever stands in the vendor's fields, a client of the contract can read the answer."""
    for encoded in both_answers(report):
        answer = json.loads(encoded)

        assert answer["id"] == TASK_ID
        assert answer["created"] == 1767917446
        assert answer["status"] in {"pending", "processing", "completed", "failed"}
        assert type(answer["progress"]) is int
        assert 0 <= answer["progress"] <= 100
        assert answer["task_info"]["can_cancel"] is False
        assert type(answer["usage"]["credits_reserved"]) in (int, float)
        for name in ("model", "object", "type"):
            assert isinstance(answer[name], str), name


@checked
@given(report=junk())
def test_the_documented_inner_fields_keep_their_types(report):
    """Times are whole seconds, the rule and the group are words."""
    for encoded in both_answers(report):
        answer = json.loads(encoded)

        for name in ("estimated_time", "video_duration"):
            assert type(answer["task_info"][name]) is int, name
            assert answer["task_info"][name] >= 0, name
        for name in ("billing_rule", "user_group"):
            assert isinstance(answer["usage"][name], str), name


@checked
@given(report=junk())
def test_results_and_errors_appear_only_at_their_end(report):
    """`error` has three strings, and a result comes only with `completed`."""
    for encoded in both_answers(report):
        answer = json.loads(encoded)

        assert ("error" in answer) == (answer["status"] == "failed")
        assert answer["status"] == "completed" or not answer.keys() & {"results", "result_data"}
        error = answer.get("error", {"code": "", "message": "", "type": "task_error"})
        assert [type(error[name]) for name in ("code", "message")] == [str, str]
        assert error["type"] == "task_error"


around_ids = st.builds(
    lambda before, after: before + VENDOR_ID + after,
    st.sampled_from(["", "https://media.example.com/", '"', "é", VENDOR_ID]),
    st.sampled_from(["", ".mp4", "?a=b", '"', VENDOR_ID]),
)


@checked
@given(report=junk(TEXTS | around_ids))
def test_the_vendors_task_id_is_never_shown(report):
    """As a value, within one, or as a name, however deep: callers know our id alone."""
    for encoded in both_answers(report):
        assert VENDOR_ID.encode() not in encoded


request_ids = st.sampled_from(["request_id", "trace_id"])


@checked
@given(report=junk(st.sampled_from(["a", "b"]) | request_ids))
def test_the_vendors_request_ids_are_never_shown(report):
    """They name records on the vendor's side; the fields go, wherever they stand."""
    for encoded in both_answers(report):
        assert b'"request_id":' not in encoded
        assert b'"trace_id":' not in encoded


@checked
@given(report=junk(), other=junk())
def test_an_answer_can_be_carried_on(report, other):
    """What was stored after one report is read back and updated by the next, whatever they were."""
    first = json.loads(both_answers(report)[1])

    verdict = judge(str(other.get("status")), was_processing=False, used=None)
    second = contract.task_answer(task(first), other, verdict, charged=0)

    assert json.loads(contract.encode(second))["id"] == TASK_ID
