"""Time: the store's, carried by the monotonic clock; and the one that tests hold still."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.clock import HeldClock, StoreClock
from app.errors import StoreUnavailable
from app.sandbox.clock import system_now_ms
from app.store.connect import connect
from app.store.time import sample_time
from tests.support.redis_server import RedisServer, Relay

HOUR_MS = 3_600_000
# Between two lines of a test a busy machine may be away for a while.
SLACK_MS = 500


def test_a_held_clock_moves_only_when_told_to() -> None:
    """Forward and back, by exactly as much as was said."""
    clock = HeldClock(1_000)

    seen = [clock.now_ms()]
    for step_ms in (0, 1, 250, -1_000, HOUR_MS):
        clock.advance_ms(step_ms)
        seen.append(clock.now_ms())

    assert seen == [1_000, 1_000, 1_001, 1_251, 251, 251 + HOUR_MS]


@pytest.mark.parametrize("clock", [HeldClock(5), StoreClock()], ids=["held", "store"])
async def test_waiting_takes_real_time(clock: HeldClock | StoreClock) -> None:
    """A test that holds time still is not stuck in a wait."""
    began_s = time.monotonic()

    async with asyncio.timeout(5):
        await clock.sleep_ms(20)

    assert time.monotonic() - began_s >= 0.019
    assert clock.now_ms() == 5 or isinstance(clock, StoreClock)


def test_until_the_first_sample_the_hosts_time_counts() -> None:
    """A start without the store is not a start in 1970."""
    assert abs(StoreClock().now_ms() - system_now_ms()) < SLACK_MS


@pytest.mark.parametrize("off_ms", [0, 5_000, -HOUR_MS, 30 * 24 * HOUR_MS])
def test_a_sample_takes_over_the_stores_time(off_ms: int) -> None:
    """However far the host's clock is off; and it says how far that was."""
    clock = StoreClock()
    store_ms = clock.now_ms() + off_ms

    moved_ms = clock.sample(store_ms, clock.mark_ms())

    assert abs(moved_ms - off_ms) < SLACK_MS
    assert 0 <= clock.now_ms() - store_ms < SLACK_MS


def test_a_reply_is_taken_to_come_from_the_middle_of_its_round_trip() -> None:
    """Asked two seconds ago, the store's time was read one second ago."""
    clock = StoreClock()

    clock.sample(1_000_000, clock.mark_ms() - 2_000)

    assert 0 <= clock.now_ms() - 1_001_000 < SLACK_MS


def test_between_samples_time_runs_forward_only() -> None:
    """It is carried by a clock that nobody can set."""
    clock = StoreClock()
    clock.sample(1_000_000, clock.mark_ms())

    seen = [clock.now_ms() for _ in range(10_000)]

    assert seen == sorted(seen)


async def test_hosts_that_disagree_agree_by_the_store(redis_url: str) -> None:
    """Two processes, hours apart, show the same time after one sample each."""
    redis, early, late = connect(redis_url), StoreClock(), StoreClock()
    early.sample(early.now_ms() - HOUR_MS, early.mark_ms())
    late.sample(late.now_ms() + HOUR_MS, late.mark_ms())

    moved_ms = [await sample_time(clock, redis) for clock in (early, late)]

    assert abs(early.now_ms() - late.now_ms()) < SLACK_MS
    assert abs(moved_ms[0] - HOUR_MS) < SLACK_MS
    assert abs(moved_ms[1] + HOUR_MS) < SLACK_MS
    await redis.aclose()


async def test_a_slow_reply_sets_the_clock_by_half_its_way(
    redis_server: RedisServer, redis_url: str
) -> None:
    """A third of a second there and back is an error of half of that, and no more."""
    async with Relay(redis_server) as relay:
        redis, clock = connect(f"unix://{relay.socket_path}"), StoreClock()
        await redis.ping()
        relay.reply_delay_s = lambda: 0.3

        moved_ms = await sample_time(clock, redis)

        assert -150 - SLACK_MS < moved_ms < -50
        await redis.aclose()


async def test_without_an_answer_the_clock_runs_on_as_it_was() -> None:
    """A store that is away does not move time."""
    redis, clock = connect("unix:///nonexistent/socket"), StoreClock()
    clock.sample(1_000_000, clock.mark_ms())

    with pytest.raises(StoreUnavailable):
        await sample_time(clock, redis)

    assert 0 <= clock.now_ms() - 1_000_000 < SLACK_MS
