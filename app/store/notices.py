"""Notices of the vendor: what they set off, and how often."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from typing import Any, Final, Literal, cast

from redis.asyncio import Redis

from app.domain.doubt import LOOK_AGAIN_MS
from app.store.keys import META, Shard
from app.store.scripts import Script, store_errors

GUARD_MS: Final = 5_000
"""Notices about one task set off one read in this time, however many come."""

MOST_KEPT: Final = 4
"""Different ids kept of a doubt; more than one only where somebody makes them up."""

_SECRET_BYTES: Final = 32

Heeded = Literal["soon", "kept", "look", "later", "nothing"]


class NoticeStore:
    """Whether a notice is worth a read, and what it names."""

    def __init__(self, redis: Redis) -> None:
        self._heed_notice = Script(redis, "heed_notice")

    async def heed(self, shard: Shard, task_id: str, vendor_id: str, *, now_ms: int) -> Heeded:
        """Note a notice, which names `vendor_id`, or nothing where that is empty.

        "soon": a followed task was made due. "kept": the id waits for the next step of the doubt,
        which is due at once, or for the doubt. "look": it is about one that was written off, and
        merits a read; "later": so it does, but not now.
        """
        outcome, *_ = await self._heed_notice(
            task=shard.task(task_id),
            polls=shard.polls,
            doubts=shard.doubts,
            story=shard.story(task_id),
            guard=shard.notice(task_id),
            now_ms=now_ms,
            task_id=task_id,
            vendor_id=vendor_id,
            guard_ms=GUARD_MS,
            look_again_ms=LOOK_AGAIN_MS,
            most_kept=MOST_KEPT,
        )
        heeded: Heeded = outcome.decode()
        return heeded


async def callback_secret(redis: Redis) -> bytes:
    """Return the secret of callback addresses; made once for a store, shared by all processes."""
    fresh = secrets.token_hex(_SECRET_BYTES)
    with store_errors():
        await cast(Awaitable[Any], redis.hsetnx(META, "callback_secret", fresh))
        kept: bytes = await cast(Awaitable[Any], redis.hget(META, "callback_secret"))
    return kept
