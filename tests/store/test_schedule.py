"""Schedules across all shards: one look shows what is due first, and costs one round trip."""

from __future__ import annotations

import pytest

from app.errors import StoreUnavailable
from app.store.connect import connect
from app.store.identity import StoreIdentity
from app.store.keys import ALL_SHARDS, Shard
from app.store.schedule import Due, Schedules
from tests.store.shelf import Shelf
from tests.support.contents import everything


async def test_each_schedule_shows_its_earliest_entry(bare_shelf: Shelf) -> None:
    """Soonest first over all shards and kinds; empty ones do not show."""
    first, last = Shard(3), Shard(15)
    await bare_shelf.redis.zadd(first.polls, {"a": 30, "b": 20})
    await bare_shelf.redis.zadd(first.sends, {"c": 40})
    await bare_shelf.redis.zadd(last.sends, {"d": 10, "e": 50})

    found = await bare_shelf.schedules.peek()

    assert found == [Due("sends", last, 10), Due("polls", first, 20), Due("sends", first, 40)]


async def test_an_empty_store_has_nothing_due(bare_shelf: Shelf) -> None:
    """Nothing is made up for what is not there."""
    assert await bare_shelf.schedules.peek() == []


async def test_a_look_at_all_shards_is_one_round_trip(bare_shelf: Shelf) -> None:
    """The server reads all questions at once, and is asked nothing else."""
    for shard in ALL_SHARDS:
        await bare_shelf.redis.zadd(shard.polls, {"a": shard.number})
    await bare_shelf.schedules.peek()
    before = await bare_shelf.redis.info("stats")

    found = await bare_shelf.schedules.peek()

    after = await bare_shelf.redis.info("stats")
    assert len(found) == len(ALL_SHARDS)
    # The second question for the figures is one of the reads it counts.
    assert after["total_reads_processed"] - before["total_reads_processed"] == 2


async def test_looking_changes_nothing(bare_shelf: Shelf) -> None:
    """Only a claim moves an entry."""
    await bare_shelf.redis.zadd(Shard(0).polls, {"a": 1})
    untouched = await everything(bare_shelf.redis)

    await bare_shelf.schedules.peek()

    assert await everything(bare_shelf.redis) == untouched


async def test_shards_and_kinds_are_claimed_apart(bare_shelf: Shelf) -> None:
    """A claim of one schedule leaves its neighbours due."""
    for name in (Shard(0).polls, Shard(0).sends, Shard(1).polls):
        await bare_shelf.redis.zadd(name, {"a": 1})

    taken = await bare_shelf.schedules.claim("polls", Shard(0), now_ms=5, lease_ms=10, most=9)

    assert taken == ["a"]
    assert await bare_shelf.schedules.peek() == [
        Due("sends", Shard(0), 1),
        Due("polls", Shard(1), 1),
        Due("polls", Shard(0), 15),
    ]


async def test_without_an_answer_nothing_is_taken_for_idle() -> None:
    """A store that is away is not a store without work."""
    redis = connect("unix:///nonexistent/socket")
    away = Schedules(redis, StoreIdentity(redis, "0" * 32))

    with pytest.raises(StoreUnavailable):
        await away.peek()
