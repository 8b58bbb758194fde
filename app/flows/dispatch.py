"""Queued tasks on their way out: one of each tenant at a time, as slots come free."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from app import failpoints
from app.clock import Clock
from app.detached import DetachedWork
from app.domain import contract
from app.domain.catalogue import Catalogue
from app.domain.ids import Mode
from app.domain.task import Task, TaskState
from app.errors import CannotCancel, Overloaded, Stopping, StoreUnavailable
from app.flows.cancel import CallOff
from app.flows.send import SendTask
from app.store.keys import Shard
from app.store.schedule import Schedules
from app.store.task_queue import Dispatched, Held, TaskQueue
from app.store.task_record import QueueName
from app.store.tasks import QUEUE_LOOK_MS, TaskStore
from app.upstream.client import VendorClient
from app.upstream.keyring import VendorKey

log = structlog.get_logger(__name__)

_QUEUES: Final = 50
"""Queues that one round of a shard looks at; the longest unserved first."""

_LOOKS: Final = ((0, 1), (1, 20), (21, 200), (221, 2_000), (2_221, 20_000))
"""Place and length of the stretches of a queue that are looked at while their keys are full."""

_ENDED: Final[dict[Held, str]] = {
    "ended": "its tenant was deleted",
    "key_ended": "its key was revoked",
}

_ROOM_PAUSE_MS: Final = 20
_ROOM_PAUSES: Final = 100
"""How often a round waits for an end of other sends, before it gives its queues back."""

_TAKE_PAUSE_MS: Final = 250
_TAKES: Final = 20
"""How often a task is taken anew while the store does not say whether it was taken."""


@dataclass(frozen=True, slots=True)
class DispatchTasks:
    """Send the next task of every tenant that has one waiting and a slot for it.

    In order within a tenant, except past tasks whose key has no slot. Between tenants in turn: who
    was served goes to the end of the line, so nobody waits for more than one task of each other;
    the shards of a process take turns for its places at the vendor.
    """

    tasks: TaskStore
    queue: TaskQueue
    schedules: Schedules
    send: SendTask
    call_off: CallOff
    vendors: dict[Mode, VendorClient]
    catalogue: Catalogue
    running: DetachedWork
    clock: Clock
    recover_after_ms: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, shard: Shard) -> int:
        """Serve the due queues of a shard once; returns how many were looked at."""
        now_ms = self.clock.now_ms()
        claimed = await self.schedules.claim(
            "dispatch", shard, now_ms=now_ms, lease_ms=QUEUE_LOOK_MS, most=_QUEUES
        )
        left = deque(claimed)
        try:
            while left:
                async with self.turn:
                    if not await self._has_room():
                        break
                    await self._serve(shard, QueueName.read(left.popleft()))
        finally:
            # Whoever was not served is still first.
            for member in left:
                await self.schedules.put_off("dispatch", shard, member, at_ms=now_ms)
        return len(claimed)

    async def _has_room(self) -> bool:
        """Wait a while for a place among the sends of this process; one that stops has none."""
        if self.running.ending:
            return False
        for _ in range(_ROOM_PAUSES):
            try:
                self.running.refuse_when_full()
            except Overloaded:
                await self.clock.sleep_ms(_ROOM_PAUSE_MS)
            except Stopping:
                return False
            else:
                return True
        return False

    async def _serve(self, shard: Shard, name: QueueName) -> None:
        """Send the first task of a queue that has a slot, if there is one."""
        key = self.vendors[name.mode].keys.pick()
        found = await self.queue.waiting(name, *_LOOKS[0])
        if not found:
            await self.queue.leave(name)
        elif key is not None and self.send.health[name.mode].may_try(self.clock.now_ms()):
            await self._send_first(shard, name, key, found)

    async def _send_first(
        self, shard: Shard, name: QueueName, key: VendorKey, found: list[tuple[str, str]]
    ) -> None:
        """Send the first task that can be; `found` is what stands in the first stretch."""
        full_keys: set[str] = set()
        for first, count in _LOOKS:
            if first:
                found = await self.queue.waiting(name, first, count)
            for task_id, family in found:
                outcome = (
                    "key_full" if family in full_keys else await self._take(shard, task_id, key)
                )
                if outcome == "key_full":
                    full_keys.add(family)
                elif outcome != "gone":
                    return
            if len(found) < count:
                return

    async def _take(self, shard: Shard, task_id: str, key: VendorKey) -> str:
        """Try to take one task; returns why it stays, or "sent"."""
        for task in await self.tasks.load(shard, [task_id]):
            body = contract.sending_answer(task.body)
            taken = await self._taken(task, body, key)
            if isinstance(taken, Dispatched):
                await self._start(task, body, taken.request_body, key)
                return "sent"
            if taken in _ENDED:
                # It was never sent, and whoever wanted it may want nothing any more.
                with suppress(CannotCancel):
                    await self.call_off(task.id, task.tenant_id, why=_ENDED[taken])
                return "gone"
            return taken
        return "gone"

    async def _taken(self, task: Task, body: bytes, key: VendorKey) -> Dispatched | Held:
        """Take a task, trying again for a while where the store does not answer.

        Raises:
            StoreUnavailable: it stayed away; the task waits still, or will be found in doubt.
        """
        taker = secrets.token_hex(8)
        for tries_left in reversed(range(_TAKES)):
            try:
                return await self.queue.dispatch(
                    task,
                    body=body,
                    vendor_key_id=key.id,
                    recover_ms=self.clock.now_ms() + self.recover_after_ms,
                    taker=taker,
                    now_ms=self.clock.now_ms(),
                )
            except StoreUnavailable:
                if not tries_left:
                    raise
                await self.clock.sleep_ms(_TAKE_PAUSE_MS)
        raise AssertionError("the last try returns or raises")

    async def _start(self, task: Task, body: bytes, request_body: str, key: VendorKey) -> None:
        self.send.health[task.mode].tried(self.clock.now_ms())
        await failpoints.reach("dispatch.taken")
        log.info("task.dispatched", task_id=task.id, tenant_id=task.tenant_id)
        sending = replace(
            task,
            state=TaskState.SENDING,
            version=task.version + 1,
            body=body,
            vendor_key_id=key.id,
        )
        model = self.catalogue.known(task.model)
        work = self.send(sending, model, request_body, key)
        self.running.start(work, name=f"dispatch {task.id}")
