"""How long a task waits that the vendor did not take, and how often it is tried."""

from __future__ import annotations

import pytest

from app.domain.requeue import MOST_TRIES, MOST_TRIES_FORBIDDEN, Requeue, requeued


def after(
    tries: int, *, forbidden: bool = False, asked_s: int | None = None, jitter: float = 0.0
) -> Requeue | None:
    """Return what is decided after so many tries before this one."""
    return requeued(tries, forbidden=forbidden, retry_after_s=asked_s, jitter=jitter)


def test_the_wait_doubles_up_to_ten_minutes():
    """A vendor that is away is asked ever more seldom."""
    waits = [after(tries).wait_ms for tries in range(9)]

    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert waits[7:] == [600_000, 600_000]


def test_tries_are_bounded_and_last_longer_than_two_hours():
    """In the end the task is refused, and its hold released."""
    waits = [after(tries) for tries in range(MOST_TRIES - 1)]

    assert sum(wait.wait_ms for wait in waits) > 2 * 3_600_000
    assert after(MOST_TRIES - 1) is None


def test_what_is_forbidden_is_tried_three_times_and_lets_others_go_first():
    """It may be this request alone, so nobody waits long for it."""
    waits = [after(tries, forbidden=True) for tries in range(MOST_TRIES_FORBIDDEN - 1)]

    assert waits == [Requeue(5_000, yields=True)] * 2
    assert after(MOST_TRIES_FORBIDDEN - 1, forbidden=True) is None


def test_only_what_is_forbidden_loses_its_place():
    """A vendor that is away, or has enough, says nothing about the task."""
    assert not after(0).yields
    assert not after(0, asked_s=1).yields


@pytest.mark.parametrize(("asked_s", "wait_ms"), [(None, 5_000), (1, 5_000), (90, 90_000)])
def test_the_vendors_own_wish_is_kept(asked_s: int | None, wait_ms: int):
    """Never sooner than it asks for."""
    assert after(0, asked_s=asked_s).wait_ms == wait_ms


def test_tries_are_spread_by_five_seconds():
    """Queues that were turned away together come back apart."""
    assert after(0, jitter=0.999).wait_ms == 5_000 + 4_995
