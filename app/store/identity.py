"""The store a process works on: by its epoch, and by the last mark it has seen of each shard.

Each admission and dispatch leaves a mark in its shard. A mark that was seen and is gone means that
the store was set back to an older copy of itself: what was sent since would be sent again. The
first process to notice changes the store's epoch, so that nobody works on it before an operator has
looked.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from app.errors import StoreForeign
from app.store.keys import ALL_SHARDS, META, Shard
from app.store.scripts import Script

log = structlog.get_logger(__name__)

Mark = tuple[int, bytes]
"""A mark's number, from 1, and what was written there."""

MARKS_KEPT: Final = 256
"""How many marks of a shard are kept: far more than are left between two looks of a process."""

_NONE: Final[Mark] = (0, b"")


class StoreIdentity:
    """The epoch to work under, and the marks that each shard must show to be of the same store."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self.epoch_id = epoch_id
        self._seen: dict[Shard, Mark] = dict.fromkeys(ALL_SHARDS, _NONE)
        self._shut_shard = Script(redis, "shut_shard")
        self._shut_store = Script(redis, "shut_store")

    def seen(self, shard: Shard) -> Mark:
        """Return the last mark that this process has seen of a shard."""
        return self._seen[shard]

    def saw(self, shard: Shard, mark: Mark) -> None:
        """Remember a mark; one that was overtaken on its way here changes nothing."""
        self._seen[shard] = max(self._seen[shard], mark)

    def claims(self, shard: Shard) -> dict[str, Any]:
        """Return what a script that adds a mark compares the shard with, by the names it has."""
        number, mark = self.seen(shard)
        return {
            "epoch_id": self.epoch_id,
            "marks_kept": MARKS_KEPT,
            "seen_number": number,
            "seen_mark": mark,
        }

    def look_fields(self, shard: Shard) -> list[str]:
        """Return which fields of a shard's marks `compare` wants to be shown."""
        return ["number", "last", str(self.seen(shard)[0] % MARKS_KEPT)]

    async def compare(self, shard: Shard, found: list[bytes | None], seen: Mark) -> None:
        """Judge what a look found in the fields above; `seen` is what was known when it began.

        An admission of this process may overtake the look, so what is known by now says nothing.

        Raises:
            StoreForeign: the store was emptied or set back.
        """
        number, last, there = int(found[0] or 0), found[1] or b"", found[2]
        seen_number, seen_mark = seen
        lost = number < seen_number + MARKS_KEPT and there != seen_mark
        if number < seen_number or (seen_number and lost):
            await self.shut(shard)
        self.saw(shard, (number, last))

    async def shut(self, shard: Shard) -> None:
        """Give the store another epoch, because a mark that was seen of a shard is gone.

        Nothing is changed where it is not so: in an emptied store, or where somebody was faster.

        Raises:
            StoreForeign: always.
        """
        after = epoch_after_set_back(self.epoch_id)
        shut: int = await self._shut_shard(
            epoch=shard.epoch, marks=shard.marks, next_id=after, **self.claims(shard)
        )
        if shut:
            for named in (META, *(each.epoch for each in ALL_SHARDS)):
                await self._shut_store(named=named, epoch_id=self.epoch_id, next_id=after)
            log.critical("store.set_back", shard=shard.number, epoch_now=after)
        raise StoreForeign


def epoch_after_set_back(epoch_id: str) -> str:
    """Return the epoch that all processes give to a store that was set back."""
    return hashlib.sha256(f"{epoch_id} was set back".encode("ascii")).hexdigest()[:32]
