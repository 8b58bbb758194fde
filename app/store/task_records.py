"""Tasks as they are stored, for the engine and for operators; tenants read by `task_reads`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from redis.asyncio import Redis

from app.domain.pricing import Microcredits
from app.domain.story import Movement
from app.domain.task import Task
from app.store.keys import ALL_SHARDS, Shard
from app.store.scripts import store_errors
from app.store.task_record import read_record


class TaskRecords:
    """Plain reads: whoever decides on what they return says so by the version it saw."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def load(self, shard: Shard, task_ids: list[str]) -> list[Task]:
        """Return tasks of one shard, in one round trip.

        Missing ones are left out, and so is, with a log entry, one that this version cannot read:
        a newer one may have written it, and its neighbours must not wait for that.
        """
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for task_id in task_ids:
                    pipe.hgetall(shard.task(task_id))
                found: list[dict[bytes, bytes]] = await pipe.execute()
        return [task for fields in found if fields and (task := read_record(fields)) is not None]

    async def find(self, task_id: str) -> dict[str, str] | None:
        """Return every stored field of a task, whoever owns it; for operators.

        Ids carry no shard, so all shards are asked, in one round trip.
        """
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for shard in ALL_SHARDS:
                    pipe.hgetall(shard.task(task_id))
                found: list[dict[bytes, bytes]] = await pipe.execute()
        for fields in found:
            if fields:
                return {
                    name.decode(): value.decode("utf-8", "replace")
                    for name, value in fields.items()
                }
        return None

    async def request_of(self, task: Task) -> str:
        """Return the body for the vendor, "" where it is no longer kept."""
        with store_errors():
            found = await self._redis.get(Shard.of(task.tenant_id).request(task.id))
        return "" if found is None else cast(bytes, found).decode("utf-8")

    async def first_hold(self, task: Task) -> Microcredits:
        """Return what was held for a task in the end: its hold and every adjustment of it."""
        entries = await self.ledger(task.tenant_id, task.id)
        return sum(amount for _, kind, amount in entries if kind in ("hold", "adjust"))

    async def story(self, tenant_id: str, task_id: str) -> list[tuple[int, str, str]]:
        """Return the steps of a task, oldest first: instant, word, detail."""
        with store_errors():
            lines: list[bytes] = await cast(
                Awaitable[Any], self._redis.lrange(Shard.of(tenant_id).story(task_id), 0, -1)
            )
        steps = (line.decode("utf-8", "replace").split(" ", 2) for line in lines)
        return [(int(at_ms), word, detail) for at_ms, word, detail in steps]

    async def ledger(self, tenant_id: str, task_id: str) -> list[Movement]:
        """Return a task's money movements, oldest first: instant, kind, amount."""
        with store_errors():
            lines: list[bytes] = await cast(
                Awaitable[Any], self._redis.lrange(Shard.of(tenant_id).ledger(task_id), 0, -1)
            )
        return movements_of(lines)


def movements_of(lines: list[bytes]) -> list[Movement]:
    """Read the stored form of a ledger back."""
    entries = (line.decode("ascii").split(" ") for line in lines)
    return [(int(at_ms), kind, int(amount)) for at_ms, kind, amount in entries]
