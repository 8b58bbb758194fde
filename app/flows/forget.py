"""Finished tasks whose days are over: forgotten, with their places in their tenant's lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from app.clock import Clock
from app.store.keys import Shard
from app.store.schedule import Schedules
from app.store.task_record import Retiring
from app.store.tasks import TaskStore

log = structlog.get_logger(__name__)

_LEASE_MS: Final = 60_000
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class ForgetTasks:
    """Delete tasks at the end of their retention; the ledger goes with them, the usage stays."""

    tasks: TaskStore
    schedules: Schedules
    clock: Clock

    async def __call__(self, shard: Shard) -> int:
        """Forget due tasks of a shard, up to a hundred; returns how many were claimed.

        A process that dies here loses nothing: its claims come due again after the lease.
        """
        claimed = await self.schedules.claim(
            "retires", shard, now_ms=self.clock.now_ms(), lease_ms=_LEASE_MS, most=_BATCH
        )
        for member in claimed:
            await self.tasks.forget(Retiring.read(member))
        if claimed:
            log.info("tasks.forgotten", count=len(claimed), shard=shard.number)
        return len(claimed)
