"""When an attempt is repeated, what its answer means, and what is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.delivery import (
    MAX_ANSWER_BYTES,
    MAX_ANSWER_CHARS,
    MAX_ATTEMPTS,
    PLANNED_MS,
    AttemptRecord,
    Judgement,
    Met,
    Redelivery,
    envelope,
    judge,
    next_width,
    read_retry_after,
    wait_ms,
)
from app.domain.tenant import Refused

NOW_MS = 1_790_000_000_123
HOURS = 3_600_000


def judged(met: Met, *, tries: int = 0, jitter: float = 0.0) -> Judgement:
    """Judge an attempt of a first round."""
    return judge(met, tries_before=tries, now_ms=NOW_MS, jitter=jitter)


def test_the_published_schedule_is_ten_attempts_over_three_days() -> None:
    """Even without jitter the last attempt is more than 72 hours after the first."""
    assert MAX_ATTEMPTS == 10
    assert sum(PLANNED_MS) >= 72 * HOURS
    assert list(PLANNED_MS) == sorted(PLANNED_MS)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    """Whatever its body."""
    assert judged(Met(status, "answered")) == Judgement("delivered")


@pytest.mark.parametrize("status", [None, 100, 199, 300, 301, 302, 307, 304, 400, 404, 409, 500])
def test_everything_else_is_tried_again(status: int | None) -> None:
    """A redirect too: it is not followed."""
    found = judged(Met(status, "answered" if status else "timed_out"))

    assert found == Judgement("again", NOW_MS + 5_000)


@pytest.mark.parametrize("tries", [0, 8, 9])
def test_gone_is_gone_at_any_attempt(tries: int) -> None:
    """A receiver that answers 410 wants no more."""
    assert judged(Met(410, "answered"), tries=tries) == Judgement("gone")


def test_the_tenth_failure_ends_it() -> None:
    """The ninth does not."""
    assert judged(Met(500, "answered"), tries=8).verdict == "again"
    assert judged(Met(500, "answered"), tries=9) == Judgement("failed")


@given(tries=st.integers(1, 9), jitter=st.floats(0, 1, exclude_max=True))
def test_waits_are_lengthened_by_a_fifth_at_the_most(tries: int, jitter: float) -> None:
    """And never shortened."""
    found = wait_ms(tries, None, jitter)

    assert PLANNED_MS[tries] <= found <= PLANNED_MS[tries] * 1.2


@given(
    tries=st.integers(1, 9),
    asked_ms=st.integers(0, 10**15),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_retry_after_is_heeded_between_once_and_twice_the_planned_wait(
    tries: int, asked_ms: int, jitter: float
) -> None:
    """Neither can a receiver be hurried by itself, nor put off its messages for ever."""
    found = wait_ms(tries, asked_ms, jitter)

    assert PLANNED_MS[tries] <= found <= 2 * PLANNED_MS[tries]
    if PLANNED_MS[tries] * 1.2 <= asked_ms <= PLANNED_MS[tries] * 2:
        assert found == asked_ms


@pytest.mark.parametrize(
    ("text", "asked_ms"),
    [
        ("", None),
        ("0", 0),
        ("120", 120_000),
        ("9" * 400, 10**12),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Thu, 99 Foo 2026 00:00:00 GMT", None),
        (format_datetime(datetime.fromtimestamp(NOW_MS // 1000, UTC), usegmt=True), 0),
        (
            format_datetime(
                datetime.fromtimestamp(NOW_MS // 1000, UTC) + timedelta(hours=1), usegmt=True
            ),
            HOURS - 123,
        ),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999999", None),
        ("Mon, 01 Jan 2024 99999999999999999999999:00:00 GMT", None),
        ("Mon, 99999999999999999999999 Jan 2024 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, asked_ms: int | None) -> None:
    """What is neither asks for nothing."""
    assert read_retry_after(text, now_ms=NOW_MS) == asked_ms


@given(st.text(max_size=60))
def test_no_retry_after_can_break_a_judgement(text: str) -> None:
    """Whatever a receiver writes there, the message is tried again in time."""
    found = judged(Met(503, "answered", retry_after=text))

    assert 5_000 <= found.next_ms - NOW_MS <= 10_000


def test_width_doubles_with_success_and_falls_to_one() -> None:
    """From four up to 32, and from any of them back to one."""
    widths = [4]
    for _ in range(5):
        widths.append(next_width(widths[-1], delivered=True))

    assert widths == [4, 8, 16, 32, 32, 32]
    assert next_width(32, delivered=False) == 1
    assert next_width(1, delivered=True) == 2


def test_the_envelope_holds_the_answer_byte_for_byte() -> None:
    """Around it stand the event, and the instant of the event to the millisecond."""
    answer = '{"status": "completed",  "note":"ü☃"}'.encode()

    found = envelope("task.completed", 1_767_917_446_007, answer)

    assert answer in found
    assert json.loads(found) == {
        "type": "task.completed",
        "timestamp": "2026-01-09T00:10:46.007Z",
        "data": json.loads(answer),
    }


@given(st.binary(max_size=3000))
def test_the_log_keeps_little_of_an_answer_and_no_control_characters(answer: bytes) -> None:
    """Whatever came, it is one line of JSON that can be shown."""
    line = AttemptRecord(NOW_MS, 3, Met(500, "answered", 12, answer=answer)).line()

    kept = json.loads(line)["answer"]
    assert len(kept) <= MAX_ANSWER_CHARS
    assert len(kept.encode()) <= MAX_ANSWER_BYTES
    assert "\n" not in line
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in kept)
    line.encode("utf-8")


def test_the_log_keeps_a_kilobyte_of_a_failure_and_nothing_of_a_success():
    """Letters of several bytes are kept whole."""
    answer = "ü".encode() * 1000
    lines = [
        AttemptRecord(NOW_MS, 1, Met(status, "answered", answer=answer)).line()
        for status in (500, 200)
    ]

    assert [json.loads(line)["answer"] for line in lines] == ["ü" * (MAX_ANSWER_BYTES // 2), ""]


@pytest.mark.parametrize(
    ("met", "kind"),
    [
        (Met(200, "answered"), "2xx"),
        (Met(503, "answered"), "5xx"),
        (Met(999, "answered"), "malformed"),
        (Met(0, "answered"), "malformed"),
        (Met(None, "timed_out"), "timed_out"),
    ],
)
def test_an_attempt_counts_under_one_of_few_words(met: Met, kind: str) -> None:
    """No receiver can make up a label."""
    assert met.kind == kind


@pytest.mark.parametrize(
    ("wish", "place"),
    [
        ({}, "id"),
        ({"id": None}, "id"),
        ({"id": "msg_x", "since": 5}, "id"),
        ({"since": 10, "until": 9}, "until"),
        ({"since": "yesterday"}, "since"),
        ({"since": 1, "status": "lost"}, "status"),
        ({"since": 1, "more": 2}, "more"),
        ([], "body"),
    ],
)
def test_a_redelivery_names_one_message_or_a_time(wish: object, place: str) -> None:
    """What is neither is refused by its place."""
    with pytest.raises(Refused) as refused:
        Redelivery.read(wish)

    assert refused.value.param == place
