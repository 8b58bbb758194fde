"""Text of the vendor: passed on where it is plain, replaced as a whole where it tells too much."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.public_text import MAX_CHARS, public_text
from tests.support.properties import checked

FALLBACK = "The task failed."

PLAIN = [
    "Invalid duration parameter",
    "Content policy violation: faces, celebrities",
    "use duration between 1-12 seconds",
    "Image file too large: 4.5MB > 4MB",
    "risk-free task-based error",
    "The prompt is too long (5001 characters). Shorten it.",
    "ratio 16:9 is not supported",
    "视频处理失败",
    "first line\nsecond line",
    "3 < 5 and a > b",
    "e.g. a frame, i.e. 1.5 s",
    "x" * MAX_CHARS,
]

TELLING = [
    "see https://example.com/help",
    "see HTTP://10.0.0.1/",
    "visit www.example.com",
    "key sk-evo-0123456789 is invalid",
    "Incorrect API key provided: sk-proj_abcdef",
    '{"key":"sk-0123456789abcdef"}',
    "Authorization: Bearer abcdef",
    "bearer abc",
    "task task-unified-1767917446-5lqy8zzv not found",
    "TASK-UNIFIED-1767917446-5LQY8ZZV",
    "please contact support@evolink.ai",
    "EvoLink balance too low",
    "host media.example.com refused",
    "dial tcp: lookup upstream.example.net: no such host",
    "error from files-api.example.org",
    "<html><body>Bad gateway</body></html>",
    "<!DOCTYPE html>",
    "<script>alert(1)</script>",
    "</p>",
    "connect to 10.12.0.7:8080 failed",
    "dial tcp 192.168.3.4:443: i/o timeout",
    "no available channel (request id: 20261122101530123456789abcdef)",
    "upstream error, request_id: 8f14e45fceea167a5a36dedd4bea2543",
]


@pytest.mark.parametrize("text", PLAIN, ids=lambda text: text[:30])
def test_plain_text_passes(text):
    """What helps the caller reaches the caller."""
    assert public_text(text, FALLBACK) == text


@pytest.mark.parametrize("text", TELLING)
def test_text_that_tells_of_the_vendors_side_is_replaced(text):
    """Keys, addresses, hosts, ids, request ids and markup: all of the text goes."""
    assert public_text(text, FALLBACK) == FALLBACK


@pytest.mark.parametrize("text", [None, "", " \n\t ", 0, 5, True, 1.5, [], ["x"], {}, {"a": "b"}])
def test_what_is_no_text_is_replaced(text):
    """The vendor's field may hold anything."""
    assert public_text(text, FALLBACK) == FALLBACK


def test_control_characters_become_blanks():
    """Terminal sequences, NULs and half surrogate pairs do not get into answers and logs."""
    shown = public_text("a\x00b\x1b[31mc\rd\te\x7ff\ud800g", FALLBACK)

    assert shown == "a b [31mc d e f g"


@pytest.mark.timeout(5)
@pytest.mark.parametrize("part", ["x", "-", "x ", "x.", "sk", "http", "<", "task-unified"])
def test_long_text_is_cut(part):
    """A text of a mebibyte is cut, and looking through it takes no time worth speaking of."""
    text = part * (2**20 // len(part))
    begun_s = time.thread_time()

    shown = public_text(text, FALLBACK)

    assert shown == text[:MAX_CHARS]
    assert time.thread_time() - begun_s < 0.5


@checked
@given(
    before=st.text(max_size=20).map(lambda text: f"{text} "),
    secret=st.sampled_from(
        ["sk-evo-0123456789", "https://a.b/c", "task-unified-1-a", "api.evolink.ai", "Bearer x"]
    ),
    after=st.text(max_size=20).map(lambda text: f" {text}"),
)
def test_nothing_around_a_secret_hides_it(before, secret, after):
    """Wherever it stands, the whole text is replaced."""
    assert public_text(before + secret + after, FALLBACK) == FALLBACK


@checked
@given(text=st.text(st.characters() | st.characters(categories=["Cs", "Cc"]), max_size=60))
def test_what_is_shown_can_be_written(text):
    """Whatever the vendor sends, the result is text that UTF-8 can hold."""
    public_text(text, FALLBACK).encode("utf-8")
