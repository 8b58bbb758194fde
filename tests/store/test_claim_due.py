"""claim_due.lua: what is due goes to one process at a time, and comes back if that one dies."""

from __future__ import annotations

import asyncio

from app.store.keys import Shard
from tests.store.shelf import Shelf
from tests.support.contents import everything

SHARD = Shard.of("acme")
NOW_MS = 1_000_000
LEASE_MS = 30_000


async def schedule(shelf: Shelf, **due_ms: int) -> None:
    """Put members on the schedule of reads."""
    await shelf.redis.zadd(SHARD.polls, due_ms)


async def claim(shelf: Shelf, *, now_ms: int = NOW_MS, most: int = 100) -> list[str]:
    """Claim due reads."""
    return await shelf.schedules.claim("polls", SHARD, now_ms=now_ms, lease_ms=LEASE_MS, most=most)


async def test_what_is_due_is_taken_soonest_first(bare_shelf: Shelf) -> None:
    """Due is what lies before the present or in it; what lies ahead stays."""
    await schedule(bare_shelf, late=NOW_MS + 1, now=NOW_MS, past=NOW_MS - 5, first=1)

    assert await claim(bare_shelf) == ["first", "past", "now"]


async def test_no_more_are_taken_than_were_asked_for(bare_shelf: Shelf) -> None:
    """The rest stays due, for whoever comes next."""
    await schedule(bare_shelf, a=1, b=2, c=3)

    claims = [await claim(bare_shelf, most=2), await claim(bare_shelf, most=2)]

    assert claims == [["a", "b"], ["c"]]


async def test_what_is_taken_comes_due_again_after_the_lease(bare_shelf: Shelf) -> None:
    """Exactly then: not a millisecond earlier, and nobody has to notice the death."""
    await schedule(bare_shelf, a=1)
    await claim(bare_shelf)

    assert await claim(bare_shelf, now_ms=NOW_MS + LEASE_MS - 1) == []
    assert await claim(bare_shelf, now_ms=NOW_MS + LEASE_MS) == ["a"]


async def test_where_nothing_is_due_nothing_changes(bare_shelf: Shelf) -> None:
    """An empty schedule, and one of which all lies ahead."""
    await schedule(bare_shelf, a=NOW_MS + 1)
    untouched = await everything(bare_shelf.redis)

    claims = [
        await claim(bare_shelf),
        await bare_shelf.schedules.claim("sends", SHARD, now_ms=NOW_MS, lease_ms=1, most=9),
    ]

    assert claims == [[], []]
    assert await everything(bare_shelf.redis) == untouched


async def test_fifty_claims_at_once_share_without_overlap(shelves: list[Shelf]) -> None:
    """Every due member goes to exactly one of the processes that race for it."""
    await schedule(shelves[0], **{f"m{n}": n for n in range(120)})

    claims = await asyncio.gather(*(claim(shelves[n % 3], most=3) for n in range(50)))

    taken = [member for members in claims for member in members]
    assert sorted(taken) == sorted(f"m{n}" for n in range(120))
