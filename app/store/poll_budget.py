"""How many status reads a vendor key may make, counted over all processes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from redis.asyncio import Redis

from app.store.keys import poll_budget
from app.store.scripts import Script

_SHARE_LIFE_MS = 1_000
_LONGEST_WAIT_MS = 10_000


@dataclass(slots=True)
class _Share:
    """What this process may still use of a key's budget, and when its next refused read may try."""

    count: int = 0
    until_ms: int = 0
    empty_until_ms: int = 0
    turn_ms: int = 0
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take(self, now_ms: int) -> bool:
        """Use one read, if there is one."""
        if self.count <= 0 or now_ms >= self.until_ms:
            return False
        self.count -= 1
        return True


@dataclass(slots=True)
class PollBudget:
    """Reads a second of each vendor key; shares of a tenth are used up in this process."""

    redis: Redis
    per_second: int
    _shares: dict[str, _Share] = field(default_factory=lambda: defaultdict(_Share))
    _take_polls: Script = field(init=False)

    def __post_init__(self) -> None:
        self._take_polls = Script(self.redis, "take_polls")

    async def wait_ms(self, vendor_key_id: str, *, now_ms: int) -> int:
        """Count one read and return 0, or return how long until there may be one.

        Raises:
            StoreUnavailable: nothing can be counted; the read must wait.
        """
        if self.per_second == 0:
            return 0
        share = self._shares[vendor_key_id]
        # One share at a time: reads that begin together would fetch one each, and waste the rest.
        async with share.fetching:
            if share.take(now_ms):
                return 0
            if now_ms < share.empty_until_ms:
                return self._turn(share, now_ms)
            count, wait_ms = await self._take_polls(
                budget=poll_budget(vendor_key_id),
                now_ms=now_ms,
                per_second=self.per_second,
                wanted=max(1, self.per_second // 10),
            )
            if count == 0:
                share.empty_until_ms = now_ms + int(wait_ms)
                return self._turn(share, now_ms)
            share.count, share.until_ms = int(count) - 1, now_ms + _SHARE_LIFE_MS
            return 0

    def _turn(self, share: _Share, now_ms: int) -> int:
        """Return how long one more refused read waits: behind those that were refused before it.

        All at the same instant they would only be refused again, each with a call of the store.
        """
        turn_ms = min(max(share.empty_until_ms, share.turn_ms), now_ms + _LONGEST_WAIT_MS)
        share.turn_ms = turn_ms + max(1, 1000 // self.per_second)
        return max(1, turn_ms - now_ms)
