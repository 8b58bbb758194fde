"""What an answer of the vendor means: the whole table, where a wrong cell costs money."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import contract
from app.upstream.wire import (
    DEFINITE_REFUSALS,
    Ambiguous,
    Answer,
    NotStrict,
    Refused,
    Reported,
    Started,
    Unreadable,
    classify_create,
    classify_report,
    read_object,
)
from tests.domain.samples import HELD, VENDOR_CREATED, VENDOR_ID, pending
from tests.support.properties import checked, json_values

JSON = "application/json"
STATUSES = range(100, 600)
REFUSALS = {400, 401, 402, 403, 404, 409, 413, 415, 422, 429}

TASK = json.dumps(VENDOR_CREATED).encode()
ERROR = json.dumps(
    {"error": {"code": 400, "message": "No.", "type": "invalid_request_error", "param": "prompt"}}
).encode()


def with_id(vendor_id: Any) -> bytes:
    """Return the vendor's create answer under another id."""
    return json.dumps(VENDOR_CREATED | {"id": vendor_id}).encode()


WELL_FORMED_ERRORS = {
    "integer code": ERROR,
    "string code": b'{"error":{"code":"invalid_request","message":"No.","type":"x"}}',
    "message alone": b'{"error":{"message":"No."}}',
    "empty message": b'{"error":{"message":""}}',
    "other members": b'{"error":{"message":"No.","request_id":"r","min":1},"success":false}',
    "Unicode": '{"error":{"message":"Ungültig 😀"}}'.encode(),
    "blanks around": b' \n{"error": {"message": "No."}}\n',
}

USABLE_IDS = {
    "documented": VENDOR_ID,
    "placeholder": "task-unified-1767917446-abc123",
    "one character": "task-unified-x",
    "all letters": "task-unified-AZaz09_-",
    "long": "task-unified-" + "a" * 187,
}

NEITHER = {
    "nothing": b"",
    "blanks": b" \n",
    "web page": b"<!DOCTYPE html><html><body>Bad gateway</body></html>",
    "text": b"Bad gateway",
    "garbage": b"\x00\xff\xfe\x80",
    "no UTF-8": b'{"error":{"message":"\xff"}}',
    "UTF-16": '{"error":{"message":"No."}}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + ERROR,
    "cut error": ERROR[:-1],
    "cut task": TASK[:-1],
    "two errors": ERROR + ERROR,
    "list": b"[" + ERROR + b"]",
    "string": b'"error"',
    "number": b"7",
    "null": b"null",
    "boolean": b"true",
    "empty object": b"{}",
    "no error": b'{"message":"No.","code":400}',
    "error as string": b'{"error":"No."}',
    "error as null": b'{"error":null}',
    "error as list": b'{"error":[{"message":"No."}]}',
    "error as number": b'{"error":400}',
    "error without message": b'{"error":{"code":400,"type":"x"}}',
    "message as number": b'{"error":{"message":5}}',
    "message as null": b'{"error":{"message":null}}',
    "message as object": b'{"error":{"message":{"text":"No."}}}',
    "NaN": b'{"error":{"message":"No.","retry":NaN}}',
    "infinity": b'{"error":{"message":"No.","retry":-Infinity}}',
    "overflow": b'{"error":{"message":"No.","retry":1e400}}',
    "endless number": b'{"error":{"message":"No.","retry":' + b"9" * 5000 + b"}}",
    "half a surrogate": b'{"error":{"message":"\\ud800"}}',
    "too deep": b'{"error":{"message":"No."},"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}

UNUSABLE_IDS = {
    "absent": b'{"status":"pending"}',
    "null": with_id(None),
    "number": with_id(1767917446),
    "list": with_id([VENDOR_ID]),
    "object": with_id({"id": VENDOR_ID}),
    "boolean": with_id(True),
    "empty": with_id(""),
    "prefix alone": with_id("task-unified-"),
    "foreign": with_id("job-1767917446"),
    "upper case": with_id("TASK-UNIFIED-1767917446-ABC123"),
    "blank before": with_id(" " + VENDOR_ID),
    "line break after": with_id(VENDOR_ID + "\n"),
    "header injection": with_id(VENDOR_ID + "\r\nX-Injected: yes"),
    "traversal": with_id("task-unified-1767917446-../../v1/credits"),
    "dots": with_id("task-unified-.."),
    "slash": with_id("task-unified-a/b"),
    "encoded slash": with_id("task-unified-a%2fb"),
    "query": with_id("task-unified-a?b=c"),
    "fragment": with_id("task-unified-a#b"),
    "NUL": with_id("task-unified-a\x00"),
    "other letters": with_id("task-unified-é"),
    "other digits": with_id("task-unified-\u0661"),
    "too long": with_id("task-unified-" + "a" * 188),
    "a mebibyte": with_id("task-unified-" + "a" * 2**20),
    "nested": b'{"data":{"id":"task-unified-1"}}',
    "in capitals": b'{"ID":"task-unified-1"}',
}

OTHER_CONTENT = [
    "",
    "text/html",
    "text/html; charset=utf-8",
    "text/plain",
    "application/octet-stream",
    "text/json",
    "application/problem+json",
    "text/html, application/json",
]


def told_of(table: dict[str, Any]) -> Any:
    """Return a parametrisation over a table."""
    return pytest.mark.parametrize("value", table.values(), ids=table.keys())


def kinds(body: bytes, content_type: str = JSON) -> dict[type, set[int]]:
    """Return which statuses mean what with that body."""
    found: dict[type, set[int]] = {}
    for status in STATUSES:
        outcome = classify_create(Answer(status, content_type, body))
        found.setdefault(type(outcome), set()).add(status)
    return found


def all_but(statuses: set[int]) -> set[int]:
    """Return every other status."""
    return set(STATUSES) - statuses


def test_the_list_of_definite_refusals_is_the_documented_one():
    """A status more would give back money that was spent; 408, 423, 425 and 5xx stay in doubt."""
    assert DEFINITE_REFUSALS == REFUSALS


@told_of(WELL_FORMED_ERRORS)
def test_a_well_formed_error_refuses_under_a_listed_status_alone(value):
    """Everything else that carries one is ambiguous, success and redirects included."""
    assert kinds(value) == {Refused: REFUSALS, Ambiguous: all_but(REFUSALS)}


@told_of(USABLE_IDS)
def test_a_usable_id_is_a_start_under_200_alone(value):
    """201, 202 and any other status are not the vendor's way to say so."""
    assert kinds(with_id(value)) == {Started: {200}, Ambiguous: all_but({200})}


@told_of(NEITHER)
def test_what_is_neither_task_nor_error_is_ambiguous(value):
    """Under every status: nobody knows what happened behind it."""
    assert kinds(value) == {Ambiguous: set(STATUSES)}


@told_of(UNUSABLE_IDS)
def test_a_task_under_no_usable_id_is_ambiguous(value):
    """It exists, but could not be asked for without danger."""
    assert kinds(value) == {Ambiguous: set(STATUSES)}


@pytest.mark.parametrize("content_type", OTHER_CONTENT)
@pytest.mark.parametrize("body", [TASK, ERROR], ids=["task", "error"])
def test_only_what_is_called_json_is_read(body, content_type):
    """A page or text in between was written by somebody else."""
    assert kinds(body, content_type) == {Ambiguous: set(STATUSES)}


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;v=1"]
)
def test_json_may_be_called_so_with_parameters(content_type):
    """Case and parameters of the header do not matter."""
    assert kinds(TASK, content_type)[Started] == {200}
    assert kinds(ERROR, content_type)[Refused] == REFUSALS


def test_a_start_carries_id_and_report():
    """The id is the vendor's own, the report is all it said."""
    assert classify_create(Answer(200, JSON, TASK)) == Started(VENDOR_ID, VENDOR_CREATED)


def test_a_refusal_carries_what_was_said():
    """Status, message, field and wait."""
    refused = classify_create(Answer(429, JSON, ERROR, retry_after="7"))

    assert refused == Refused(429, "No.", "prompt", 7)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("", None),
        ("0", 0),
        ("7", 7),
        ("007", 7),
        ("300", 300),
        ("301", 300),
        ("9" * 30, 300),
        ("9" * 5000, 300),
        ("-1", None),
        ("+7", None),
        ("7.5", None),
        ("7 ", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("\u0667", None),
        ("\u00b2", None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_wait_is_read_where_it_is_a_number(retry_after, seconds):
    """Capped, so that no header can stop a key for a day; anything else is as if it were absent."""
    refused = classify_create(Answer(429, JSON, ERROR, retry_after=retry_after))

    assert isinstance(refused, Refused)
    assert refused.retry_after_s == seconds


any_answer = st.builds(
    Answer,
    status=st.sampled_from([*sorted(REFUSALS), 200, 201, 302, 408, 500, 502, 503])
    | st.integers(100, 999),
    content_type=st.just(JSON) | st.text(max_size=20),
    body=st.binary(max_size=30)
    | json_values().map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(["id", "error", "status"]),
        json_values()
        | st.just(VENDOR_ID)
        | st.dictionaries(st.sampled_from(["message", "param", "code"]), json_values(), max_size=3),
    ).map(lambda value: json.dumps(value).encode()),
    retry_after=st.text(max_size=8) | st.text("0123456789", max_size=8),
)


@checked
@given(answer=any_answer)
def test_no_answer_is_taken_for_more_than_it_says(answer):
    """Whatever comes is classified; certainty is claimed only where all conditions hold."""
    outcome = classify_create(answer)

    is_json = answer.content_type.lower().startswith(JSON)
    match outcome:
        case Started(vendor_id=vendor_id):
            assert (answer.status, is_json) == (200, True)
            assert json.loads(answer.body)["id"] == vendor_id
        case Refused(message=message):
            assert is_json
            assert answer.status in REFUSALS
            assert json.loads(answer.body)["error"]["message"] == message
        case Ambiguous(reason=reason):
            assert str(answer.status) in reason


@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_reason_for_doubt_quotes_nothing(status):
    """It is logged, so it says what was wrong and not what was sent."""
    body = b'{"error":"sk-canary-0123456789", "id":"sk-canary-0123456789" broken'

    outcome = classify_create(Answer(status, JSON, body))

    assert isinstance(outcome, Ambiguous)
    assert "canary" not in repr(outcome)
    assert len(outcome.reason) < 300


@pytest.mark.parametrize(
    "report",
    [
        {"id": VENDOR_ID, "status": "processing"},
        {"id": VENDOR_ID, "status": ""},
        VENDOR_CREATED,
        {"id": VENDOR_ID, "status": "x", "error": {"message": "y"}},
    ],
    ids=["least", "empty word", "whole", "with error"],
)
def test_a_report_is_read_under_200_alone(report):
    """Errors of the query itself end no task."""
    body = json.dumps(report).encode()

    found = {status: classify_report(Answer(status, JSON, body), VENDOR_ID) for status in STATUSES}

    assert found.pop(200) == Reported(report)
    assert {type(outcome) for outcome in found.values()} == {Unreadable}


@pytest.mark.parametrize(
    "vendor_id",
    [
        None,
        "",
        5,
        [VENDOR_ID],
        VENDOR_ID.upper(),
        VENDOR_ID + "x",
        VENDOR_ID[:-1],
        VENDOR_ID + "\n",
    ],
    ids=repr,
)
def test_a_report_of_another_task_is_not_read(vendor_id):
    """However near the id: another task may be another tenant's."""
    body = json.dumps({"id": vendor_id, "status": "completed"}).encode()

    assert isinstance(classify_report(Answer(200, JSON, body), VENDOR_ID), Unreadable)


@pytest.mark.parametrize("status", [None, 5, True, [], ["completed"], {"is": "completed"}])
def test_a_report_without_a_status_word_is_not_read(status):
    """It is asked for again."""
    body = json.dumps({"id": VENDOR_ID, "status": status}).encode()

    assert isinstance(classify_report(Answer(200, JSON, body), VENDOR_ID), Unreadable)


@told_of(NEITHER | {"error": ERROR, "no id": UNUSABLE_IDS["absent"]})
def test_what_is_no_report_is_not_read(value):
    """The same junk as on a create, to the same end."""
    assert isinstance(classify_report(Answer(200, JSON, value), VENDOR_ID), Unreadable)


@checked
@given(body=st.binary(max_size=60) | json_values().map(lambda value: json.dumps(value).encode()))
def test_bytes_are_an_object_or_not_strict(body):
    """No other failure comes out of reading."""
    with contextlib.suppress(NotStrict):
        found = read_object(body)

        assert found == json.loads(body)


@pytest.mark.parametrize("depth", [1, 30, 100, 300, 450, 500, 700, 900, 1500, 5000])
@pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_what_is_read_can_also_be_shown(depth, opened, closed):
    """However deep an answer nests: either it is malformed, or it becomes an answer of ours."""
    body = b'{"x":' + opened * depth + b"1" + closed * depth + b"}"
    try:
        report = read_object(body)
    except NotStrict:
        return

    answer = contract.created_answer(pending(), report, vendor_id=VENDOR_ID, held=HELD)

    assert contract.encode(answer)
