"""Tasks as their tenants read them: one, several, or a page of a list."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from app.domain.contract import with_queue_position
from app.domain.listing import ListName
from app.domain.task import FINAL, TaskState
from app.domain.tenant import Caller
from app.errors import TaskNotFound
from app.store.keys import (
    Shard,
    caller_keys,
)
from app.store.refusals import refusal
from app.store.scripts import Script


@dataclass(frozen=True, slots=True)
class TaskRead:
    """One task as a caller sees it.

    `vendor_id` is "" until the vendor has it, and never shown. `subject` is the one whose browser
    tokens see it beside the keys of its tenant; "" for none.
    """

    body: bytes
    state: TaskState
    vendor_id: str
    subject: str = ""

    @property
    def finished(self) -> bool:
        """Return whether it will not change any more."""
        return self.state in FINAL


class TaskReads:
    """Every read checks key, tenant, mode and owner at its own instant, in the store."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._epoch_id = epoch_id
        self._read_task = Script(redis, "read_task")
        self._read_tasks = Script(redis, "read_tasks")
        self._list_tasks = Script(redis, "list_tasks")

    async def one(self, task_id: str, *, caller: Caller, now_ms: int) -> TaskRead:
        """Return one task of a caller.

        Raises:
            TaskNotFound: unknown, expired, of another tenant or subject, or of the other mode.
            InvalidKey: the key was revoked or has expired.
            TenantDisabled: the operator switched the tenant off.
            StoreForeign: the store was emptied or exchanged; nothing can be said of the task.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._read_task(
            **caller_keys(caller.tenant_id, caller.key_id),
            task=shard.task(task_id),
            queue=shard.queue(caller.tenant_id, caller.mode),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            task_id=task_id,
            tenant_id=caller.tenant_id,
            mode=caller.mode,
            subject=caller.subject,
        )
        if outcome == b"refused":
            raise refusal(rest[0])
        if outcome == b"unknown":
            raise TaskNotFound
        body, word, vendor_id, position, subject = rest
        return TaskRead(
            with_queue_position(body, position),
            TaskState(word.decode()),
            vendor_id.decode(),
            subject.decode(),
        )

    async def several(self, task_ids: list[str], *, caller: Caller, now_ms: int) -> list[bytes]:
        """Return the answers of a caller's tasks, in the order asked; others are left out.

        Raises:
            InvalidKey, TenantDisabled, StoreForeign: as `one`.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._read_tasks(
            **caller_keys(caller.tenant_id, caller.key_id),
            queue=shard.queue(caller.tenant_id, caller.mode),
            tasks=[shard.task(task_id) for task_id in task_ids],
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            tenant_id=caller.tenant_id,
            mode=caller.mode,
            subject=caller.subject,
        )
        if outcome == b"refused":
            raise refusal(rest[0])
        return [
            with_queue_position(body, position)
            for body, position in zip(rest[::2], rest[1::2], strict=True)
        ]

    async def page(
        self, which: ListName, model: str, *, first: int, last: int, caller: Caller, now_ms: int
    ) -> tuple[list[bytes], int]:
        """Return the answers of a caller's tasks from place `first` to `last`, newest first.

        `model` may be "" for all. The second figure is how many tasks the whole list has. What is
        forgotten between the two steps of this read is missing from the page.

        Raises:
            InvalidKey, TenantDisabled, StoreForeign: as `one`.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._list_tasks(
            **caller_keys(caller.tenant_id, caller.key_id),
            ids=shard.listed(caller.tenant_id, caller.mode, which, model),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            first=first,
            last=last,
        )
        if outcome == b"refused":
            raise refusal(rest[0])
        total, *ids = rest
        found = [task_id.decode() for task_id in ids]
        return await self.several(found, caller=caller, now_ms=now_ms) if found else [], total
