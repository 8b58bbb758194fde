"""Queued tasks: who waits, who is next, and back into the queue."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import Redis

from app.domain.ids import family_of
from app.domain.requeue import Requeue
from app.domain.task import Task
from app.errors import StoreForeign
from app.store.identity import StoreIdentity
from app.store.keys import Shard
from app.store.scripts import Script, store_errors
from app.store.task_record import QueueName

Held = Literal["tenant_full", "key_full", "key_ended", "vendor_away", "paused", "ended", "gone"]
"""Why a queued task was not taken out of its queue."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The task is recorded as being sent, by this process alone; and its body for the vendor."""

    request_body: str


class TaskQueue:
    """The queues of tenants; a place in one is kept by number, also when a task comes back."""

    def __init__(self, redis: Redis, identity: StoreIdentity) -> None:
        self._redis, self._identity = redis, identity
        self._dispatch = Script(redis, "dispatch")
        self._requeue = Script(redis, "requeue")
        self._leave_queue = Script(redis, "leave_queue")

    async def waiting(self, name: QueueName, first: int, count: int) -> list[tuple[str, str]]:
        """Return tasks from place `first`, 0 is the head, on: their ids and families of keys."""
        shard = Shard.of(name.tenant_id)
        queue = shard.queue(name.tenant_id, name.mode)
        with store_errors():
            found: list[bytes] = await cast(
                Awaitable[Any], self._redis.zrange(queue, first, first + count - 1)
            )
            ids = [task_id.decode() for task_id in found]
            async with self._redis.pipeline(transaction=False) as pipe:
                for task_id in ids:
                    pipe.hget(shard.task(task_id), "key")
                keys: list[bytes | None] = await pipe.execute()
        return [
            (task_id, family_of((key or b"").decode()))
            for task_id, key in zip(ids, keys, strict=True)
        ]

    async def leave(self, name: QueueName) -> None:
        """Take a queue that is empty off the schedule of those that are looked at."""
        shard = Shard.of(name.tenant_id)
        await self._leave_queue(
            queue=shard.queue(name.tenant_id, name.mode),
            dispatch=shard.dispatch,
            queue_member=name.member(),
        )

    async def dispatch(
        self,
        task: Task,
        *,
        body: bytes,
        vendor_key_id: str,
        recover_ms: int,
        taker: str,
        now_ms: int,
    ) -> Dispatched | Held:
        """Take a task out of its queue to be sent, if tenant and key have a slot for it.

        Safe to repeat as the same `taker`, a word of this attempt alone: it gets the task again.

        Raises:
            StoreForeign: the store was emptied or exchanged.
        """
        shard = Shard.of(task.tenant_id)
        outcome, *rest = await self._dispatch(
            epoch=shard.epoch,
            marks=shard.marks,
            tenant=shard.tenant(task.tenant_id),
            key=shard.key(task.tenant_id, task.holder_id),
            **_places(task),
            request=shard.request(task.id),
            sends=shard.sends,
            now_ms=now_ms,
            **self._identity.claims(shard),
            mode=task.mode,
            task_id=task.id,
            version=task.version,
            vendor_key=vendor_key_id,
            body=body,
            recover_ms=recover_ms,
            queue_member=QueueName(task.tenant_id, task.mode).member(),
            taker=taker,
        )
        if outcome == b"store_foreign":
            raise StoreForeign
        if outcome == b"set_back":
            await self._identity.shut(shard)
        if outcome == b"dispatched":
            body_for_vendor, *mark = rest
            if mark:
                self._identity.saw(shard, tuple(mark[0]))
            return Dispatched(body_for_vendor.decode("utf-8"))
        held: Held = outcome.decode()
        return held

    async def requeue(
        self, task: Task, *, body: bytes, why: str, wait: Requeue, now_ms: int
    ) -> int | None:
        """Put a task that was surely not created back into its queue, where its tenant wants that.

        A create that was not answered yet is also kept out by a full queue.

        Returns its position, from 1; None where the tenant does not, or it was called doubtful.
        Safe to repeat: 0 says that it was put back and has gone on from there.

        Raises:
            StoreForeign: the store was emptied or exchanged.
        """
        shard = Shard.of(task.tenant_id)
        outcome, *rest = await self._requeue(
            epoch=shard.epoch,
            tenant=shard.tenant(task.tenant_id),
            **_places(task),
            sends=shard.sends,
            now_ms=now_ms,
            epoch_id=self._identity.epoch_id,
            task_id=task.id,
            version=task.version,
            body=body,
            mode=task.mode,
            retry_ms=now_ms + wait.wait_ms,
            yields=int(wait.yields),
            queue_member=QueueName(task.tenant_id, task.mode).member(),
            why=why,
        )
        if outcome == b"store_foreign":
            raise StoreForeign
        if outcome == b"gone_on":
            return 0
        return int(rest[0]) if outcome == b"requeued" else None


def _places(task: Task) -> dict[str, str]:
    shard = Shard.of(task.tenant_id)
    return {
        "task": shard.task(task.id),
        "slots": shard.slots(task.tenant_id, task.mode),
        "key_slots": shard.slots(task.tenant_id, task.mode, task.family),
        "queue": shard.queue(task.tenant_id, task.mode),
        "story": shard.story(task.id),
        "dispatch": shard.dispatch,
        "news": shard.news(task.tenant_id, task.mode),
    }
