"""Tasks whose sender never said how it ended: a crash left them in `sending`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from app.clock import Clock
from app.domain.doubt import FIRST_LOOK_MS
from app.domain.task import TaskState
from app.store.keys import Shard
from app.store.schedule import Schedules
from app.store.task_steps import Change
from app.store.tasks import TaskStore
from app.telemetry import Metrics

log = structlog.get_logger(__name__)

_LEASE_MS: Final = 10_000
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class RecoverSends:
    """Call overdue sends doubtful; they keep their hold and are never sent again."""

    tasks: TaskStore
    schedules: Schedules
    clock: Clock
    metrics: Metrics

    async def __call__(self, shard: Shard) -> int:
        """Move overdue sends of a shard, up to a hundred, to `in_doubt`; returns how many."""
        now_ms = self.clock.now_ms()
        claimed = await self.schedules.claim(
            "sends", shard, now_ms=now_ms, lease_ms=_LEASE_MS, most=_BATCH
        )
        if not claimed:
            return 0
        for task in await self.tasks.load(shard, claimed):
            if task.state is not TaskState.SENDING:
                continue
            change = Change(
                TaskState.IN_DOUBT,
                task.body,
                due_ms=now_ms + FIRST_LOOK_MS,
                why="its sender ended without an outcome",
            )
            if await self.tasks.advance(task, change, now_ms=now_ms):
                self.metrics.tasks_doubted.inc()
                log.warning(
                    "task.doubted", task_id=task.id, why="its sender ended without an outcome"
                )
        return len(claimed)
