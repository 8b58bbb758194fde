"""Detached work: runs to its end whoever leaves, within a bound, and is waited for at the stop."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.detached import DetachedWork
from app.errors import Overloaded, Stopping, VendorUnreachable


async def until(done: asyncio.Event, result: str = "done") -> str:
    """Work that ends when told to."""
    await done.wait()
    return result


async def failing(failure: Exception) -> None:
    """Work that fails."""
    raise failure


async def test_work_outlives_whoever_waits_for_it() -> None:
    """A caller is cancelled; the work ends as if nothing had happened."""
    running, done = DetachedWork(limit=5), asyncio.Event()
    work = running.start(until(done), name="one")

    async with asyncio.TaskGroup() as callers:
        caller = callers.create_task(running.finished_within(work, 60))
        await asyncio.sleep(0)
        caller.cancel()

    assert caller.cancelled()
    assert len(running) == 1
    done.set()
    assert await work == "done"
    assert len(running) == 0


async def test_a_wait_ends_with_the_work() -> None:
    """Whoever waits is told at once, also if the work had ended before."""
    running, done = DetachedWork(limit=5), asyncio.Event()
    work = running.start(until(done), name="one")

    async with asyncio.timeout(5), asyncio.TaskGroup() as callers:
        waits = [callers.create_task(running.finished_within(work, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        done.set()

    assert [wait.result() for wait in waits] == [True] * 3
    assert await running.finished_within(work, 0) is True


async def test_a_wait_ends_when_its_time_is_up() -> None:
    """The work goes on; its result is for whoever asks later."""
    running, done = DetachedWork(limit=5), asyncio.Event()
    work = running.start(until(done), name="one")
    began_s = time.monotonic()

    is_done = await running.finished_within(work, 0.05)

    assert is_done is False
    assert 0.04 < time.monotonic() - began_s < 2
    done.set()
    assert await work == "done"


async def test_hurrying_ends_every_wait_and_no_work() -> None:
    """A process that must answer now does, for all its callers."""
    running, done = DetachedWork(limit=5), asyncio.Event()
    work = [running.start(until(done), name=str(n)) for n in range(3)]

    async with asyncio.timeout(5), asyncio.TaskGroup() as callers:
        waits = [callers.create_task(running.finished_within(each, 60)) for each in work]
        await asyncio.sleep(0)
        running.hurry()

    assert [wait.result() for wait in waits] == [False] * 3
    assert len(running) == 3
    done.set()
    assert await asyncio.gather(*work) == ["done"] * 3


async def test_a_failure_reaches_whoever_asks_for_the_result() -> None:
    """The wait itself does not fail: it only tells that the work is over."""
    running = DetachedWork(limit=5)
    work = running.start(failing(VendorUnreachable()), name="one")

    assert await running.finished_within(work, 5) is True
    with pytest.raises(VendorUnreachable):
        work.result()


async def test_no_more_is_started_than_the_bound_allows() -> None:
    """A caller is refused before anything is begun for it; an end makes room for one more."""
    running, done = DetachedWork(limit=2), asyncio.Event()
    first = running.start(until(done), name="one")
    running.refuse_when_full()
    running.start(until(done), name="two")

    with pytest.raises(Overloaded):
        running.refuse_when_full()

    done.set()
    await first
    await asyncio.sleep(0)
    running.refuse_when_full()


async def test_a_defect_that_nobody_awaits_is_logged() -> None:
    """With the name of the work and the failure itself."""
    running = DetachedWork(limit=5)

    with capture_logs() as logs:
        work = running.start(failing(ZeroDivisionError("ours")), name="submit task-1")
        await asyncio.wait([work])

    (event,) = [log for log in logs if log["event"] == "detached.failed"]
    assert event["work"] == "submit task-1"
    assert isinstance(event["exc_info"], ZeroDivisionError)


async def test_a_refusal_is_no_defect() -> None:
    """It is an answer, logged where it was decided; a work that was cut off is none either."""
    running = DetachedWork(limit=5)

    with capture_logs() as logs:
        refused = running.start(failing(VendorUnreachable()), name="one")
        cut_off = running.start(until(asyncio.Event()), name="two")
        cut_off.cancel()
        await asyncio.wait([refused, cut_off])

    assert [log for log in logs if log["event"] == "detached.failed"] == []


async def test_a_stop_waits_for_what_is_running() -> None:
    """Work that ends within the grace is not cut off."""
    running, done = DetachedWork(limit=5), asyncio.Event()
    work = running.start(until(done), name="one")

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        draining: asyncio.Task[Any] = group.create_task(running.drain(60))
        await asyncio.sleep(0)
        done.set()

    assert draining.result() == 0
    assert work.result() == "done"


async def test_a_stop_cuts_off_what_takes_too_long_and_counts_it() -> None:
    """Each is really over afterwards, so that what it uses can be closed."""
    running, done = DetachedWork(limit=5), asyncio.Event()
    done.set()
    running.start(until(done), name="quick")
    late = [running.start(until(asyncio.Event()), name=str(n)) for n in range(2)]

    cut_off = await running.drain(0.05)

    assert cut_off == 2
    assert [work.cancelled() for work in late] == [True, True]
    assert len(running) == 0


async def test_after_a_stop_nothing_new_is_taken() -> None:
    """Not even with room to spare; stopping again does no harm."""
    running = DetachedWork(limit=5)
    assert await running.drain(60) == 0

    with pytest.raises(Stopping):
        running.refuse_when_full()

    assert await running.drain(60) == 0
