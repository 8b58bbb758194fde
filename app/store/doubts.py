"""Tasks in doubt, worked off step by step; and what is learnt after the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from app.domain.audit import Act
from app.domain.doubt import EVEN_LOOKS, LONGEST_LOOK_AGAIN_MS, LOOK_AGAIN_MS, DoubtStep
from app.domain.pricing import Microcredits
from app.domain.task import Task
from app.errors import StoreForeign
from app.store.keys import ALL_SHARDS, Shard, vendor_claim, windows
from app.store.scripts import Script, store_errors
from app.store.task_record import QueueName

_CHUNK: Final = 1000
"""Records looked at in one round trip."""

_CLAIM_MS: Final = 60_000
"""Longer than it takes to record that a task is followed."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a task has cost after all, by the vendor's word on `vendor_id` or by an operator's."""

    charged_microcredits: Microcredits
    why: str
    vendor_id: str = ""
    act: Act | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A step that was noted: the id that the vendor is to be asked about first, "" for none.

    `resend`: the send is to be repeated now.
    """

    vendor_id: str
    resend: bool


class DoubtStore:
    """Notes each step before it is taken, so that a process that dies repeats none."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._work_doubt = Script(redis, "work_doubt")
        self._disprove = Script(redis, "disprove")
        self._correct = Script(redis, "correct")

    async def everywhere(self) -> list[tuple[Shard, list[str]]]:
        """Return the ids of all tasks in doubt, by shard, in one round trip."""
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for shard in ALL_SHARDS:
                    pipe.zrange(shard.doubts, 0, -1)
                found: list[list[bytes]] = await pipe.execute()
        return [
            (shard, [task_id.decode() for task_id in ids])
            for shard, ids in zip(ALL_SHARDS, found, strict=True)
            if ids
        ]

    async def named(self, shard: Shard, task_ids: list[str]) -> set[str]:
        """Return those of a shard's tasks of which a notice named something."""
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for task_id in task_ids:
                    pipe.hexists(shard.task(task_id), "named")
                found: list[bool] = await pipe.execute()
        return {task_id for task_id, is_named in zip(task_ids, found, strict=True) if is_named}

    async def claim(self, vendor_id: str, task: Task) -> bool:
        """Take one of the vendor's tasks for this one; False if another has just taken it.

        Two doubts may be told the same id at the same moment, and neither follows it yet.
        """
        with store_errors():
            taken = await self._redis.set(
                vendor_claim(vendor_id), task.id, nx=True, px=_CLAIM_MS, get=True
            )
        return taken in (None, task.id.encode())

    async def belongs_to_another(self, vendor_id: str, task: Task, *, retention_ms: int) -> bool:
        """Return whether one of the vendor's tasks is followed, or was, for another task than this.

        Asked are the open tasks, and those that have ended since this one was admitted.
        """
        retired_ms = task.created_ms + retention_ms
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for shard in ALL_SHARDS:
                    pipe.zrange(shard.polls, 0, -1)
                    pipe.zrange(shard.retires, retired_ms, "+inf", byscore=True)
                found: list[list[bytes]] = await pipe.execute()
        own = Shard.of(task.tenant_id).task(task.id)
        places = [
            ALL_SHARDS[number // 2].task(member.decode().partition(" ")[0])
            for number, members in enumerate(found)
            for member in members
        ]
        others = [place for place in places if place != own]
        for start in range(0, len(others), _CHUNK):
            if vendor_id.encode() in await self._vendor_ids(others[start : start + _CHUNK]):
                return True
        return False

    async def _vendor_ids(self, places: list[str]) -> list[bytes | None]:
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for place in places:
                    pipe.hget(place, "vendor_id")
                found: list[bytes | None] = await pipe.execute()
        return found

    async def note(
        self, task: Task, step: DoubtStep, *, look_in_ms: int, now_ms: int
    ) -> Noted | None:
        """Note a step, and when the next is due; None if the task has changed since it was read.

        No resend is noted where the vendor is to be asked first, or where the tenant was disabled
        or the key revoked since. It is never asked where `look_in_ms`, the time until it may be
        asked anything, is not 0.

        Raises:
            StoreForeign: the store was emptied or exchanged.
        """
        shard = Shard.of(task.tenant_id)
        outcome, *rest = await self._work_doubt(
            epoch=shard.epoch,
            tenant=shard.tenant(task.tenant_id),
            key=shard.key(task.tenant_id, task.holder_id),
            task=shard.task(task.id),
            slots=shard.slots(task.tenant_id, task.mode),
            key_slots=shard.slots(task.tenant_id, task.mode, task.family),
            queue=shard.queue(task.tenant_id, task.mode),
            story=shard.story(task.id),
            doubts=shard.doubts,
            dispatch=shard.dispatch,
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            task_id=task.id,
            version=task.version,
            resend=int(step.resend),
            free=int(step.free_slot),
            next_ms=step.next_ms,
            queue_member=QueueName(task.tenant_id, task.mode).member(),
            look_in_ms=look_in_ms,
            look_again_ms=LOOK_AGAIN_MS,
            even_looks=EVEN_LOOKS,
            longest_again_ms=LONGEST_LOOK_AGAIN_MS,
        )
        if outcome == b"store_foreign":
            raise StoreForeign
        return Noted(rest[0].decode(), bool(rest[1])) if outcome == b"noted" else None

    async def disprove(self, task: Task, vendor_id: str) -> None:
        """Forget an id that a notice named: the vendor's task of that id is another one."""
        await self._disprove(task=Shard.of(task.tenant_id).task(task.id), vendor_id=vendor_id)

    async def correct(
        self, task: Task, correction: Correction, *, now_ms: int
    ) -> Microcredits | None:
        """Book what a finished task has cost; returns the difference, None if it has not finished.

        What its tenant was answered stays. Repeating books nothing more.

        Raises:
            StoreForeign: the store was emptied or exchanged.
        """
        shard, (day, month) = Shard.of(task.tenant_id), windows(task.created_ms)
        outcome, *rest = await self._correct(
            epoch=shard.epoch,
            task=shard.task(task.id),
            ledger=shard.ledger(task.id),
            story=shard.story(task.id),
            day=shard.usage(task.tenant_id, task.mode, day),
            month=shard.usage(task.tenant_id, task.mode, month),
            audit=shard.audit,
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            charged=correction.charged_microcredits,
            family=task.family,
            model=task.model,
            vendor_id=correction.vendor_id,
            why=correction.why,
            entry=correction.act.entry() if correction.act else "",
        )
        if outcome == b"store_foreign":
            raise StoreForeign
        return int(rest[0]) if outcome == b"corrected" else None
