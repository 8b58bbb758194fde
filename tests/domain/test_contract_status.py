"""The answer to a status read, for each thing the vendor can say of a task."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import contract
from app.domain.task import Finished, Running, judge
from app.errors import GatewayError, UpstreamRejected, VendorRefused, closed_list
from tests.domain.samples import GROUP, TASK_ID, VENDOR_CREATED, VENDOR_ID, pending, reread, task
from tests.support.properties import checked, json_values

RESULT_DATA = {
    "character_name": "chr_Axtjik3O#",
    "profile_picture_url": "https://example.com/profile.jpg",
}
RESULTS = ["https://media.example.com/video.mp4"]
TASK_CODES = [
    "content_policy_violation",
    "invalid_parameters",
    "image_processing_error",
    "image_dimension_mismatch",
    "request_cancelled",
    "generation_failed_no_content",
    "service_error",
    "generation_timeout",
    "resource_exhausted",
    "quota_exceeded",
    "service_unavailable",
    "resource_not_found",
    "unknown_error",
]


def report_of(status: str, **fields: Any) -> dict[str, Any]:
    """Return a status report as the vendor writes it."""
    return {
        "created": 1767917445,
        "id": VENDOR_ID,
        "model": "sora-character",
        "object": "video.generation.task",
        "progress": 45,
        "status": status,
        "task_info": {"can_cancel": True},
        "type": "video",
        **fields,
    }


def after(report: dict[str, Any], *, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what is shown once the vendor has reported, charged 0.07 if it completed."""
    verdict = judge(str(report.get("status")), was_processing=False, used=None)
    charged = 70_000 if verdict == Finished(succeeded=True, used=None) else 0
    return reread(contract.task_answer(task(before), report, verdict, charged=charged))


SHOWN = {
    "created": 1767917446,
    "id": TASK_ID,
    "model": "sora-character",
    "object": "video.generation.task",
    "task_info": {"can_cancel": False, "estimated_time": 150, "video_duration": 8},
    "type": "video",
}
USAGE = {"billing_rule": "per_call", "credits_reserved": 0.25, "user_group": GROUP}


@pytest.mark.parametrize(
    ("word", "status"),
    [("pending", "pending"), ("queued", "pending"), ("processing", "processing")],
)
def test_an_unfinished_task_is_shown_so(word, status):
    """All documented fields, the vendor's progress, and neither result nor error."""
    shown = after(report_of(word, results=RESULTS, result_data=RESULT_DATA, error={"code": "x"}))

    assert shown == SHOWN | {"status": status, "progress": 45, "usage": USAGE}


@pytest.mark.parametrize(
    "result",
    [
        {"result_data": RESULT_DATA},
        {"results": RESULTS},
        {"results": RESULTS, "result_data": [{"url": RESULTS[0]}]},
        {},
    ],
    ids=["character", "video", "both", "none"],
)
def test_a_completed_task_shows_its_result(result):
    """In the vendor's shape; progress is 100 and the tenant's charge is told."""
    shown = after(report_of("completed", error={"code": "x", "message": "artefact"}, **result))

    assert shown == SHOWN | {
        "status": "completed",
        "progress": 100,
        "usage": USAGE | {"credits_used": 0.07},
        **result,
    }


@pytest.mark.parametrize("code", TASK_CODES)
def test_a_failed_task_shows_its_error(code):
    """With the vendor's code and message, type `task_error`, nothing charged and no result."""
    error = {"code": code, "message": "Blocked.", "type": "task_error"}
    shown = after(report_of("failed", progress=0, error=error, results=RESULTS, result_data={}))

    assert shown == SHOWN | {
        "status": "failed",
        "progress": 0,
        "usage": USAGE | {"credits_used": 0},
        "error": error,
    }


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (None, "unknown_error", "The task failed."),
        ("boom", "unknown_error", "The task failed."),
        ([], "unknown_error", "The task failed."),
        ({}, "unknown_error", "The task failed."),
        ({"code": 400, "message": 5}, "unknown_error", "The task failed."),
        ({"code": "service_error"}, "service_error", "The task failed."),
        ({"message": "Too dark."}, "unknown_error", "Too dark."),
        ({"code": "a", "type": "api_error", "message": "b", "suggestion": "c"}, "a", "b"),
        (
            {"code": "a", "message": "see https://evolink.ai", "request_id": "req-1"},
            "a",
            "The task failed.",
        ),
        ({"code": f"bad {VENDOR_ID}", "message": VENDOR_ID}, "unknown_error", "The task failed."),
    ],
    ids=str,
)
def test_an_error_always_has_the_documented_form(error, code, message):
    """Three strings, whatever the vendor sent in its place."""
    assert after(report_of("failed", error=error))["error"] == {
        "code": code,
        "message": message,
        "type": "task_error",
    }


@pytest.mark.parametrize("word", ["cancelled", "canceled", "CANCELLED"])
@pytest.mark.parametrize("error", [None, {"code": "service_error", "message": "Stopped."}])
def test_a_cancelled_task_has_failed(word, error):
    """`cancelled` is no documented status, but an error code says it."""
    shown = after(report_of(word, error=error))

    assert (shown["status"], shown["error"]["code"]) == ("failed", "request_cancelled")
    assert shown["error"]["type"] == "task_error"


@pytest.mark.parametrize("word", ["queued", "waiting", "paused", "", "complete", "x" * 5000])
def test_an_unknown_word_keeps_the_task_running(word):
    """A new word of the vendor is no end."""
    assert after(report_of(word))["status"] == "pending"


def test_a_task_that_ran_stays_processing():
    """The verdict carries on what was shown before."""
    answer = contract.task_answer(task(), report_of("queued"), Running(processing=True), charged=0)

    assert answer["status"] == "processing"


@checked
@given(
    figures=st.lists(
        st.integers(-200, 200) | st.floats(allow_nan=False, allow_infinity=False) | json_values(),
        max_size=5,
    )
)
def test_progress_only_rises(figures):
    """Through any figures the vendor may give: whole, below 100 until completed, then 100."""
    body, shown = pending(), [0]

    for figure in figures:
        report = report_of("processing", progress=figure)
        body = contract.task_answer(task(body), report, Running(processing=True), charged=0)
        shown.append(reread(body)["progress"])
    ended = after(report_of("completed", progress=0), before=body)

    assert all(type(figure) is int and 0 <= figure < 100 for figure in shown)
    assert shown == sorted(shown)
    assert ended["progress"] == 100


@pytest.mark.parametrize("progress", [-1, 0, 45, 100, 101, 1e300, "all", None])
def test_progress_of_a_failed_task_stays_in_range(progress):
    """The vendor may set it back to 0; it never leaves 0 to 100."""
    shown = after(report_of("failed", progress=progress))["progress"]

    assert type(shown) is int
    assert 0 <= shown <= 100


def test_what_was_shown_once_stays():
    """A report with the least fields leaves everything else as the create showed it."""
    created = contract.created_answer(
        pending(), VENDOR_CREATED | {"extra": 1}, vendor_id=VENDOR_ID, held=100_000
    )

    shown = after({"id": VENDOR_ID, "status": "processing"}, before=created)

    assert shown == reread(created) | {"status": "processing"}
    assert shown["usage"]["credits_reserved"] == 0.1


def test_a_result_shown_too_early_does_not_stay():
    """Results and errors of an earlier body never outlive it."""
    before = pending() | {"results": RESULTS, "result_data": {}, "error": {"code": "x"}}

    shown = after(report_of("processing"), before=before)

    assert not shown.keys() & {"results", "result_data", "error"}


@pytest.mark.parametrize(
    "usage",
    [
        {"credits_used": 13.5},
        {"credits_reserved": 13.5, "user_group": "vip"},
        {"credits_used": 13.5, "credits_reserved": 13.5, "user_group": "vip"},
    ],
    ids=["used", "reserved", "both"],
)
@pytest.mark.parametrize("word", ["processing", "completed", "failed"])
def test_hold_charge_and_group_are_the_tenants(usage, word):
    """In every state, wherever the vendor puts figures of the same name."""
    assert after(report_of(word, usage=usage)) == after(report_of(word))
    assert after(report_of(word, **usage)) == after(report_of(word))


@pytest.mark.parametrize("word", ["processing", "completed", "failed"])
def test_other_figures_of_usage_pass_through(word):
    """Real answers carry a `cost`, and clients read it."""
    cost = {"credits": 13.5, "usd": 0.199, "cny": 1.35}

    usage = after(report_of(word, usage={"cost": cost, "credits_used": 13.5}))["usage"]

    assert usage == after(report_of(word))["usage"] | {"cost": cost}


@pytest.mark.parametrize("status", [400, 404, 413, 415])
def test_a_refusal_after_the_answer_is_a_failed_task(status):
    """Whoever holds a 200 reads the refusal as the task's error, with the vendor's explanation."""
    refusal = VendorRefused("Invalid prompt parameter", status=status, param="prompt")

    assert reread(contract.refused_answer(task(), refusal)) == reread(pending()) | {
        "status": "failed",
        "progress": 0,
        "usage": {**reread(pending())["usage"], "credits_used": 0},
        "error": {
            "code": "invalid_parameters",
            "message": "Invalid prompt parameter",
            "type": "task_error",
        },
    }


def test_a_refusal_of_the_gateways_call_is_an_error_of_the_service():
    """It is nothing that the caller could change."""
    shown = contract.refused_answer(task(), UpstreamRejected())

    assert shown["error"]["code"] == "service_error"


@pytest.mark.parametrize("kind", closed_list(), ids=lambda kind: kind.__name__)
def test_any_refusal_can_be_shown_as_a_failed_task(kind: type[GatewayError]):
    """The code is one of those documented for tasks, and the message is the refusal's own."""
    refusal = kind(status=400) if kind is VendorRefused else kind()  # type: ignore[call-arg]

    error = reread(contract.refused_answer(task(), refusal))["error"]

    assert error["code"] in TASK_CODES
    assert error["message"] == refusal.message
    assert error.keys() == {"code", "message", "type"}
