"""When to ask again: within the operator's bounds, seldom at first, often near the end, spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schedule import (
    PollPace,
    PollView,
    first_poll_ms,
    is_given_up,
    is_overdue,
    next_poll_ms,
    retry_send_ms,
)
from tests.support.properties import checked

NOW_MS = 1_767_917_446_000
PACE = PollPace(
    first_delay_ms=15_000,
    min_interval_ms=5_000,
    max_interval_ms=30_000,
    deadline_ms=3_600_000,
    watch_interval_ms=900_000,
    give_up_ms=604_800_000,
)

paces = st.builds(
    lambda least, more, watch: PollPace(1, least, least + more, 3_600_000, watch, 10**11),
    st.integers(1, 3_600_000),
    st.integers(0, 3_600_000),
    st.integers(1, 86_400_000),
)
ages = st.integers(-60_000, 10**9)
estimates = st.integers(0, 7_200_000)
percents = st.integers(0, 100)
jitters = st.floats(0, 1, exclude_max=True)


def seen(age_ms: int, *, estimated_ms: int = 0, progress: int = 0, watched: bool = False):
    """Return what is known of a task of that age."""
    return PollView(NOW_MS - age_ms, estimated_ms, progress, watched)


def wait_ms(view: PollView, pace: PollPace = PACE, jitter: float = 0.0) -> int:
    """Return how long the next read is away."""
    return next_poll_ms(NOW_MS, view, pace, jitter) - NOW_MS


def reads_until_the_end(estimated_ms: int, pace: PollPace = PACE) -> list[int]:
    """Return the ages at which a task that takes just as long as estimated is read."""
    ages_ms = [pace.first_delay_ms]
    while ages_ms[-1] < estimated_ms:
        ages_ms.append(ages_ms[-1] + wait_ms(seen(ages_ms[-1], estimated_ms=estimated_ms), pace))
    return ages_ms


def test_the_first_read_waits_as_set():
    """A task is not finished at once: the first look can wait."""
    assert first_poll_ms(NOW_MS, PACE) == NOW_MS + 15_000


@pytest.mark.parametrize(
    ("age_ms", "estimated_ms", "progress", "interval_ms"),
    [
        (0, 50_000, 0, 25_000),
        (20_000, 50_000, 0, 15_000),
        (45_000, 50_000, 0, 5_000),
        (0, 600_000, 0, 30_000),
        # Its progress says more than the estimate: 80 % in 40 s leave 10 s.
        (40_000, 600_000, 80, 5_000),
        (10_000, 12_000, 10, 30_000),
        (40_000, 600_000, 60, 13_333),
        # So little progress says nothing.
        (10_000, 30_000, 4, 10_000),
        # Overtime: a tenth of the age.
        (100_000, 60_000, 0, 10_000),
        (299_000, 60_000, 0, 29_900),
        (300_000, 60_000, 0, 30_000),
        (86_400_000, 0, 0, 30_000),
        (100_000, 60_000, 100, 10_000),
        # A clock that went back counts as no age.
        (-5_000, 0, 0, 5_000),
        (-5_000, 30_000, 0, 15_000),
    ],
)
def test_the_interval_is_half_the_rest_and_then_a_tenth_of_the_age(
    age_ms, estimated_ms, progress, interval_ms
):
    """Always between the bounds."""
    assert wait_ms(seen(age_ms, estimated_ms=estimated_ms, progress=progress)) == interval_ms


@checked
@given(
    pace=paces,
    age_ms=ages,
    estimated_ms=estimates,
    progress=percents,
    watched=st.booleans(),
    jitter=jitters,
)
def test_the_bounds_hold(pace, age_ms, estimated_ms, progress, watched, jitter):
    """Whatever the vendor says: never sooner than the least, never later than the most and a tenth.

    A watched task has one interval of its own.
    """
    view = seen(age_ms, estimated_ms=estimated_ms, progress=progress, watched=watched)
    least_ms = pace.watch_interval_ms if watched else pace.min_interval_ms
    most_ms = pace.watch_interval_ms if watched else pace.max_interval_ms

    assert least_ms <= wait_ms(view, pace, jitter) <= most_ms * 1.1


@checked
@given(pace=paces, age_ms=ages, estimated_ms=estimates, later_ms=st.integers(0, 10**7))
def test_reads_grow_denser_towards_the_end(pace, age_ms, estimated_ms, later_ms):
    """Before its expected end, a task that is older is not read later than a younger one."""
    older_ms = min(age_ms + later_ms, estimated_ms - 1)
    if older_ms < age_ms:
        return
    young, old = (
        wait_ms(seen(each, estimated_ms=estimated_ms), pace) for each in (age_ms, older_ms)
    )

    assert old <= young


@checked
@given(pace=paces, age_ms=ages, estimated_ms=estimates, later_ms=st.integers(0, 10**9))
def test_reads_grow_rarer_in_overtime(pace, age_ms, estimated_ms, later_ms):
    """Past its expected end, age only lengthens the wait."""
    over_ms = max(age_ms, estimated_ms)
    young, old = (
        wait_ms(seen(each, estimated_ms=estimated_ms), pace)
        for each in (over_ms, over_ms + later_ms)
    )

    assert old >= young


def test_the_end_is_noticed_soon_at_the_price_of_few_reads():
    """A task of three minutes costs ten reads and not thirty, and waits five seconds at most."""
    ages_ms = reads_until_the_end(180_000)

    assert len(ages_ms) <= 12
    assert ages_ms[-1] - 180_000 <= PACE.min_interval_ms


def test_tasks_made_together_drift_apart():
    """The chance handed in moves the read, by up to a tenth, watched or not."""
    for watched in (False, True):
        view = seen(0, estimated_ms=40_000, watched=watched)

        reads = [wait_ms(view, jitter=share / 10) for share in range(10)]

        assert sorted(set(reads)) == reads
        assert reads[-1] < reads[0] * 1.1


@pytest.mark.parametrize(
    ("age_ms", "estimated_ms", "overdue"),
    [
        (3_599_999, 0, False),
        (3_600_000, 0, True),
        (3_600_000, 720_000, True),
        (3_600_000, 720_001, False),
        (4_999_999, 1_000_000, False),
        (5_000_000, 1_000_000, True),
        (-1, 0, False),
    ],
)
def test_the_deadline_is_ours_or_five_times_the_estimate(age_ms, estimated_ms, overdue):
    """Whichever is longer: a task that was said to take long is not given up early."""
    assert is_overdue(NOW_MS, seen(age_ms, estimated_ms=estimated_ms), PACE) is overdue


@pytest.mark.parametrize(
    ("age_ms", "watched", "given_up"),
    [
        (604_799_999, True, False),
        (604_800_000, True, True),
        (604_800_000, False, False),
        (-1, True, False),
    ],
)
def test_only_what_is_watched_is_given_up_and_only_for_its_age(age_ms, watched, given_up):
    """To the millisecond; a task that was not looked at for a week is watched first."""
    assert is_given_up(NOW_MS, seen(age_ms, watched=watched), PACE) is given_up


@pytest.mark.parametrize(
    ("left_ms", "expected_ms"),
    [(900_001, 900_000), (900_000, 900_000), (60_000, 60_000), (1, 5_000), (-1, 5_000)],
)
def test_the_last_read_is_due_when_a_task_is_given_up(left_ms, expected_ms):
    """The vendor is asked once more then, never sooner than the least interval after the last."""
    age_ms = PACE.give_up_ms - left_ms

    assert wait_ms(seen(age_ms, watched=True)) == expected_ms


@pytest.mark.parametrize(
    ("attempt", "jitter", "expected_ms"),
    [(1, 0.0, 20), (1, 0.99, 119), (2, 0.0, 20), (2, 0.5, 120), (3, 0.5, 220)],
)
def test_a_send_that_did_not_leave_is_tried_again_soon(attempt, jitter, expected_ms):
    """Longer with each attempt, and never at once."""
    assert retry_send_ms(attempt, jitter) == expected_ms
