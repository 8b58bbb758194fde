"""Tasks in doubt: worked off by what the vendor can still tell, given up at the deadline."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import structlog

from app import failpoints
from app.clock import Clock
from app.detached import DetachedWork
from app.domain.catalogue import Catalogue
from app.domain.doubt import LOOK_AGAIN_MS, DoubtStep, DoubtTerms, next_step
from app.domain.ids import Mode
from app.domain.task import Task, TaskState
from app.errors import GatewayError, Overloaded, Stopping
from app.flows.look import LookAtVendor
from app.flows.send import SendTask
from app.flows.write_off import writing_off
from app.store.doubts import DoubtStore, Noted
from app.store.keys import Shard
from app.store.schedule import Schedules
from app.store.tasks import TaskStore
from app.store.tenants import TenantStore
from app.telemetry import Metrics
from app.upstream.client import VendorClient

log = structlog.get_logger(__name__)

_LEASE_MS: Final = 30_000
_BATCH: Final = 100
_NO_ROOM_MS: Final = 1_000
"""Pause where as many calls as may be are under way; nothing of the doubt is used up by it."""
_NOTHING_TO_ASK_MS: Final = 1_000
"""When to come back where a notice arrives while a step without one is noted."""


@dataclass(frozen=True, slots=True)
class WorkOffDoubts:
    """Ask the vendor about what its notices name; resend where it can be trusted with it.

    Slots are freed in time, and what nobody could tell is written off in the end.
    """

    tasks: TaskStore
    doubts: DoubtStore
    tenants: TenantStore
    schedules: Schedules
    send: SendTask
    look: LookAtVendor
    vendors: dict[Mode, VendorClient]
    catalogue: Catalogue
    running: DetachedWork
    clock: Clock
    terms: DoubtTerms
    metrics: Metrics

    async def __call__(self, shard: Shard) -> int:
        """Take the due steps of a shard, up to a hundred; returns how many were claimed."""
        claimed = await self.schedules.claim(
            "doubts", shard, now_ms=self.clock.now_ms(), lease_ms=_LEASE_MS, most=_BATCH
        )
        if not claimed:
            return 0
        found = await self.tasks.load(shard, claimed)
        named = await self.doubts.named(shard, claimed)
        async with asyncio.TaskGroup() as group:
            for task in found:
                if task.state is TaskState.IN_DOUBT:
                    group.create_task(self._work_alone(task, is_named=task.id in named))
        return len(claimed)

    async def _work_alone(self, task: Task, *, is_named: bool) -> None:
        """Work on one task so that no defect met on the way stops the others'; it returns later."""
        try:
            await self._work_on(task, is_named=is_named)
        except Exception:
            self.metrics.engine_stumbles.inc()
            log.exception("engine.stumbled", task_id=task.id)

    async def _work_on(self, task: Task, *, is_named: bool) -> None:
        now_ms = self.clock.now_ms()
        estimated_s = self.catalogue.known(task.model).estimated_time_s or 0
        step = next_step(task, self.terms, estimated_s=estimated_s, now_ms=now_ms)
        if step.resend and not self._has_room():
            step = replace(step, resend=False, next_ms=now_ms + _NO_ROOM_MS)
        # Only where a notice named something is one of the reads that the vendor allows used up.
        look_in_ms = await self.look.wait_ms(task) if is_named else _NOTHING_TO_ASK_MS
        noted = await self._note(task, step, look_in_ms)
        if noted is None:
            return
        task, resend = noted
        if step.write_off:
            await self._write_off(task)
        elif resend:
            await failpoints.reach("doubt.noted")
            self.running.start(self._resend(task), name=f"resend {task.id}")

    def _has_room(self) -> bool:
        try:
            self.running.refuse_when_full()
        except (Overloaded, Stopping):
            return False
        return True

    async def _note(self, task: Task, step: DoubtStep, look_in_ms: int) -> tuple[Task, bool] | None:
        """Note a step; returns the task with that, and whether it is to be sent again.

        None where there is nothing left to do.

        Proof comes first: what the vendor turns out to have is neither sent again nor given up.
        """
        noted = await self._noted(task, step, look_in_ms=look_in_ms)
        if noted is not None and noted.vendor_id:
            if await self.look(task, noted.vendor_id) == "proved":
                return None
            task, step = replace(task, version=task.version + 1), replace(step, free_slot=False)
            noted = await self._noted(task, step, look_in_ms=LOOK_AGAIN_MS)
        if noted is None:
            return None
        return replace(task, version=task.version + 1), noted.resend

    async def _noted(self, task: Task, step: DoubtStep, *, look_in_ms: int) -> Noted | None:
        now_ms = self.clock.now_ms()
        return await self.doubts.note(task, step, look_in_ms=look_in_ms, now_ms=now_ms)

    async def _resend(self, task: Task) -> None:
        """Repeat the send under its idempotency key; only a definite answer changes anything."""
        key = self.vendors[task.mode].keys.by_id(task.vendor_key_id)
        body = await self.tasks.request_of(task)
        if key is None or not body:
            log.warning("task.not_resent", task_id=task.id, vendor_key_id=task.vendor_key_id)
            return
        try:
            await self.send.again(task, self.catalogue.known(task.model), body, key)
        except GatewayError as refusal:
            log.info("task.doubt_ended", task_id=task.id, reason=refusal.reason)

    async def _write_off(self, task: Task) -> None:
        """Give the doubt up as its tenant's policy says."""
        change = await writing_off(task, self.tenants)
        if await self.tasks.advance(task, change, now_ms=self.clock.now_ms()):
            self.metrics.tasks_finished.labels("written_off").inc()
            charged = change.charged_microcredits
            log.warning("task.written_off", task_id=task.id, charged_microcredits=charged)
