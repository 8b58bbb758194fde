"""Answers that are wrong in themselves."""

from __future__ import annotations

import gzip

import httpx2
import pytest

from tests.sandbox.asking import (
    AUTHORIZED,
    CHARACTER,
    CREATE,
    on_the_wire,
)


@pytest.mark.parametrize(
    ("mode", "params", "created", "reason"),
    [
        ("commit_then_status", {}, True, "internal_server_error"),
        ("commit_then_status", {"status": 502}, True, "upstream_error"),
        ("commit_then_status", {"status": 503}, True, "service_unavailable_error"),
        ("commit_then_status", {"status": 408}, True, "invalid_request_error"),
        ("commit_then_status", {"status": 302}, True, "invalid_request_error"),
        ("reject_then_status", {}, False, "internal_server_error"),
        ("status", {}, False, "rate_limit_error"),
        ("status", {"status": 401}, False, "authentication_error"),
        ("status", {"status": 402}, False, "insufficient_quota_error"),
        ("status", {"status": 403}, False, "permission_error"),
        ("status", {"status": 404, "type": "gone"}, False, "gone"),
        ("status", {"status": 599}, False, "invalid_request_error"),
    ],
)
def test_an_error_may_or_may_not_follow_a_creation(vendor, journal, mode, params, created, reason):
    """The same answer, and a task behind it or none."""
    declared = {"on": "create", "mode": mode, "params": params}
    vendor.put("/_sandbox/faults/odd", json=declared).raise_for_status()
    status = params.get("status", 429 if mode == "status" else 500)

    answer = vendor.post(CREATE, json=CHARACTER)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status
    assert answer.json()["error"]["type"] == reason
    [entry] = journal()
    assert bool(entry["created_task_id"]) is created
    assert entry["answer_status"] == status


@pytest.mark.parametrize("wait", [7, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_limit_can_say_how_long_to_wait(vendor, set_fault, wait):
    """`Retry-After` is sent as given, or not at all."""
    set_fault("status", times=1, retry_after=wait)

    answers = [vendor.post(CREATE, json=CHARACTER) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [429, 200]
    assert answers[0].headers["retry-after"] == str(wait)
    assert "retry-after" not in answers[1].headers


def test_a_redirect_leads_elsewhere(vendor, set_fault, journal):
    """Nothing is created by it."""
    set_fault("redirect", status=307, location="https://example.com/trap")

    answer = vendor.post(CREATE, json=CHARACTER)

    assert (answer.status_code, answer.headers["location"]) == (307, "https://example.com/trap")
    assert journal()[0]["created_task_id"] is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("list", ["task"]), ("string", "task"), ("number", 7), ("null", None), ("boolean", True)],
)
def test_json_of_the_wrong_type(vendor, set_fault, journal, kind, value):
    """A 200 that is JSON and still no task."""
    set_fault("wrong_type", kind=kind)

    answer = vendor.post(CREATE, json=CHARACTER)

    assert (answer.status_code, answer.json()) == (200, value)
    assert journal()[0]["created_task_id"]


def test_garbage_that_is_called_json(vendor, set_fault):
    """The header says JSON, the bytes are not even text."""
    set_fault("malformed")

    answer = vendor.post(CREATE, json=CHARACTER)

    assert answer.headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


def test_a_web_page_in_place_of_an_answer(vendor, set_fault):
    """As a proxy in between would send it."""
    set_fault("html", status=502)

    answer = vendor.post(CREATE, json=CHARACTER)

    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_an_answer_without_an_id(vendor, set_fault, journal):
    """Everything else is there."""
    set_fault("missing_id")

    answer = vendor.post(CREATE, json=CHARACTER).json()

    assert "id" not in answer
    assert answer["status"] == "pending"
    assert journal()[0]["created_task_id"]


@pytest.mark.parametrize(
    ("kind", "mark"),
    [("traversal", "../"), ("crlf", "\r\n"), ("foreign", "job-"), ("other", "task-unified-")],
)
def test_an_id_no_client_may_use(vendor, set_fault, kind, mark):
    """An id that would lead a careless client somewhere else."""
    set_fault("bad_id", kind=kind)

    assert mark in vendor.post(CREATE, json=CHARACTER).json()["id"]


def test_an_id_of_a_mebibyte(vendor, set_fault):
    """It has the right beginning and no end."""
    set_fault("bad_id", kind="long")

    assert len(vendor.post(CREATE, json=CHARACTER).json()["id"]) > 1024 * 1024


def test_a_huge_answer_is_valid(vendor, set_fault):
    """Whoever reads it all gets a task; nobody should read it all."""
    set_fault("huge", mib=2)

    answer = vendor.post(CREATE, json=CHARACTER)

    assert "content-length" not in answer.headers
    assert len(answer.content) > 2 * 1024 * 1024
    assert answer.json()["status"] == "pending"


def test_a_bomb_is_small_until_it_is_opened(served, set_fault):
    """A few kilobytes on the wire become mebibytes."""
    set_fault("gzip_bomb", mib=4)

    seen = on_the_wire(served)

    assert "content-encoding: gzip" in seen.head
    assert len(seen.body) < 20_000
    with httpx2.Client(headers=AUTHORIZED, trust_env=False) as client:
        answer = client.post(served + CREATE, json=CHARACTER)
    assert len(answer.content) > 4 * 1024 * 1024
    assert answer.json()["status"] == "pending"
    assert gzip.decompress(gzip.compress(answer.content)) == answer.content


def test_errors_can_be_written_in_words(vendor, set_fault):
    """The newer pages give the code as text; success is not changed."""
    set_fault("string_generation", on="any")

    wrong = vendor.post(CREATE, json={"model": 5}).json()["error"]
    query = vendor.get("/v1/tasks/abc").json()["error"]

    assert (wrong["code"], wrong["param"]) == ("invalid_request", "model")
    assert (query["code"], query["type"]) == ("invalid_task_id", "invalid_request_error")
    assert vendor.post(CREATE, json=CHARACTER).status_code == 200


def test_a_refusal_can_be_in_words(vendor, set_fault):
    """A status fault takes the newer form on request."""
    set_fault("status", status=403, generation="string")

    assert vendor.post(CREATE, json=CHARACTER).json()["error"]["code"] == "model_access_denied"
