"""The budget of status reads: one for each vendor key, exact over all processes, and never lost."""

from __future__ import annotations

import asyncio

import pytest

from app.clock import StoreClock
from app.store.keys import poll_budget
from app.store.poll_budget import PollBudget
from tests.store.shelf import Shelf

NOW_MS = StoreClock().now_ms() + 3_600_000
"""An hour on: the store, which forgets by its own clock, forgets nothing while a test runs."""

KEY = "vk_000000000001"


async def granted(budgets: list[PollBudget], count: int, *, now_ms: int, key: str = KEY) -> int:
    """Ask for `count` reads at once, in turn over the processes; return how many were allowed."""
    waits = await asyncio.gather(
        *(budgets[n % len(budgets)].wait_ms(key, now_ms=now_ms) for n in range(count))
    )
    return waits.count(0)


@pytest.mark.parametrize("per_second", [1, 3, 50, 1000])
@pytest.mark.parametrize("processes", [1, 3])
async def test_no_more_is_granted_than_there_is(
    bare_shelf: Shelf, per_second: int, processes: int
) -> None:
    """From rest a second's worth at once, then what has come back, whoever asks; none is wasted."""
    budgets = [PollBudget(bare_shelf.redis, per_second) for _ in range(processes)]

    at_once = await granted(budgets, 3 * per_second, now_ms=NOW_MS)
    directly_after = await granted(budgets, 3 * per_second, now_ms=NOW_MS)
    later = await granted(budgets, 3 * per_second, now_ms=NOW_MS + 1_500)

    assert (at_once, directly_after, later) == (per_second, 0, per_second)


async def test_it_comes_back_evenly(bare_shelf: Shelf) -> None:
    """In ten seconds as many reads as ten seconds hold, and the burst they began with."""
    budgets = [PollBudget(bare_shelf.redis, 20) for _ in range(3)]

    total = 0
    for step in range(101):
        total += await granted(budgets, 12, now_ms=NOW_MS + 100 * step)

    assert 20 + 200 - 2 * len(budgets) <= total <= 20 + 200


async def test_each_vendor_key_has_its_own(bare_shelf: Shelf) -> None:
    """One that is used up leaves the others as they are."""
    budgets = [PollBudget(bare_shelf.redis, 10)]
    await granted(budgets, 20, now_ms=NOW_MS)

    assert await granted(budgets, 20, now_ms=NOW_MS, key="vk_000000000002") == 10


async def test_no_limit_asks_nobody(bare_shelf: Shelf) -> None:
    """Set to 0, every read is allowed and nothing is stored."""
    before = await bare_shelf.redis.dbsize()

    assert await granted([PollBudget(bare_shelf.redis, 0)], 1000, now_ms=NOW_MS) == 1000
    assert await bare_shelf.redis.dbsize() == before


async def test_refused_reads_are_put_behind_each_other(bare_shelf: Shelf) -> None:
    """Each gets an instant of its own, so that they are not refused together again, and bounded."""
    budget = PollBudget(bare_shelf.redis, 10)
    await granted([budget], 10, now_ms=NOW_MS)

    waits = [await budget.wait_ms(KEY, now_ms=NOW_MS) for _ in range(150)]

    assert waits[:4] == [100, 200, 300, 400]
    assert max(waits) == 10_000
    assert min(waits) > 0


async def test_refused_reads_cost_the_store_nothing(bare_shelf: Shelf) -> None:
    """Until something can have come back, nobody asks again."""
    budget = PollBudget(bare_shelf.redis, 10)
    await granted([budget], 11, now_ms=NOW_MS)
    before = (await bare_shelf.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]

    await granted([budget], 100, now_ms=NOW_MS + 50)

    after = (await bare_shelf.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after == before


async def test_a_used_budget_ends_by_itself(bare_shelf: Shelf) -> None:
    """A vendor key that is taken out leaves nothing behind."""
    now_ms = bare_shelf.clock.now_ms()

    await PollBudget(bare_shelf.redis, 10).wait_ms(KEY, now_ms=now_ms)

    assert now_ms < await bare_shelf.redis.pexpiretime(poll_budget(KEY)) <= now_ms + 2_100
