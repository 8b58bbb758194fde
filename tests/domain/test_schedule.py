"""When to ask again: within the operator's bounds, rarer with age, spread out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schedule import PollPace, first_poll_ms, next_poll_ms, retry_send_ms
from tests.support.properties import checked

PACE = PollPace(first_delay_ms=15_000, min_interval_ms=5_000, max_interval_ms=30_000)
NOW_MS = 1_767_917_446_000

paces = st.builds(
    lambda least, more: PollPace(1, least, least + more),
    st.integers(1, 3_600_000),
    st.integers(0, 3_600_000),
)
ages = st.integers(-60_000, 10**9)
jitters = st.floats(0, 1, exclude_max=True)


def test_the_first_read_waits_as_set():
    """A task is not finished at once: the first look can wait."""
    assert first_poll_ms(NOW_MS, PACE) == NOW_MS + 15_000


@pytest.mark.parametrize(
    ("age_ms", "interval_ms"),
    [
        (0, 5_000),
        (10_000, 5_000),
        (50_000, 5_000),
        (100_000, 10_000),
        (299_000, 29_900),
        (300_000, 30_000),
        (86_400_000, 30_000),
        (-5_000, 5_000),
    ],
)
def test_the_interval_is_a_tenth_of_the_age(age_ms, interval_ms):
    """Between the bounds; a clock that went back counts as no age."""
    assert next_poll_ms(NOW_MS, NOW_MS - age_ms, PACE, 0.0) == NOW_MS + interval_ms


@checked
@given(pace=paces, age_ms=ages, jitter=jitters)
def test_the_bounds_hold(pace, age_ms, jitter):
    """Never sooner than the least interval, never later than the greatest and a tenth."""
    wait_ms = next_poll_ms(NOW_MS, NOW_MS - age_ms, pace, jitter) - NOW_MS

    assert pace.min_interval_ms <= wait_ms <= pace.max_interval_ms * 1.1


@checked
@given(pace=paces, age_ms=ages, older_ms=st.integers(0, 10**9), jitter=jitters)
def test_an_older_task_is_never_read_more_often(pace, age_ms, older_ms, jitter):
    """Under the same chance, age only lengthens the wait."""
    young = next_poll_ms(NOW_MS, NOW_MS - age_ms, pace, jitter)
    old = next_poll_ms(NOW_MS, NOW_MS - age_ms - older_ms, pace, jitter)

    assert old >= young


def test_tasks_made_together_drift_apart():
    """The chance handed in moves the read, by up to a tenth."""
    reads = {next_poll_ms(NOW_MS, NOW_MS, PACE, share / 10) for share in range(10)}

    assert len(reads) == 10


@pytest.mark.parametrize(
    ("attempt", "jitter", "expected_ms"),
    [(1, 0.0, 20), (1, 0.99, 119), (2, 0.0, 20), (2, 0.5, 120), (3, 0.5, 220)],
)
def test_a_send_that_did_not_leave_is_tried_again_soon(attempt, jitter, expected_ms):
    """Longer with each attempt, and never at once."""
    assert retry_send_ms(attempt, jitter) == expected_ms
