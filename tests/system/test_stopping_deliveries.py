"""Told to stop, a process lets what it delivers arrive, and gives the rest to another."""

from __future__ import annotations

import asyncio

from app.clock import StoreClock
from app.store.keys import Shard
from tests.support.fleet import Fleet
from tests.support.hooks import Hooks
from tests.support.receiver import OK, Reply, open_receiver
from tests.support.wait import wait_until

MESSAGES = 12
REACHES_HERE = {
    "REELGATE_WEBHOOK__ALLOW_NETWORKS": "127.0.0.0/8",
    "REELGATE_WEBHOOK__ALLOW_HTTP": "true",
}


async def test_a_stop_lets_what_is_under_way_arrive_and_gives_the_rest_away(fleet: Fleet) -> None:
    """It ends with 0, and the next process goes on at once: every message arrives once."""
    async with open_receiver() as receiver:
        await fleet.customer()
        store = fleet.store
        hooks = Hooks(store.redis, store.webhooks, store.deliveries, StoreClock())
        webhook_id = await hooks.add(receiver.url())
        receiver.rule = lambda _: Reply(after_s=1.5)
        (first,) = await fleet.start("first", options=("--role", "engine"), **REACHES_HERE)
        await hooks.enqueue(MESSAGES)
        await wait_until(lambda: len(receiver.journal) == 4, describing="four to be under way")

        code = await asyncio.to_thread(first.stop)

        arrived = len(receiver.accepted)
        held = await store.redis.zcard(Shard.of("acme").delivering)
        receiver.rule = lambda _: OK
        await fleet.start("second", options=("--role", "engine"), **REACHES_HERE)
        await wait_until(
            lambda: len(receiver.accepted) == MESSAGES, describing="the rest to arrive"
        )
        assert (code, arrived, held) == (0, 4, 0)
        assert len({each.message_id for each in receiver.journal}) == MESSAGES
        assert len(receiver.journal) == MESSAGES

        async def all_recorded() -> bool:
            return await hooks.states(webhook_id) == {"delivered": MESSAGES}

        await wait_until(all_recorded, describing="all of them to be recorded")
