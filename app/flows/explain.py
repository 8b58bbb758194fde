"""An operator asks what became of a task, and which sends are of unknown outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.clock import Clock
from app.domain.instants import rfc3339
from app.domain.pricing import format_credits
from app.domain.story import told
from app.errors import TaskNotFound
from app.store.doubts import DoubtStore
from app.store.tasks import TaskStore


@dataclass(frozen=True, slots=True)
class ExplainTask:
    """Put a task's record, steps and ledger together."""

    tasks: TaskStore

    async def __call__(self, task_id: str) -> dict[str, Any]:
        """Return everything known of a task, whoever owns it.

        Raises:
            TaskNotFound: nothing is known of it, or no longer.
        """
        record = await self.tasks.find(task_id)
        if record is None:
            raise TaskNotFound
        steps = await self.tasks.story(record["tenant"], task_id)
        movements = await self.tasks.ledger(record["tenant"], task_id)
        return told(record, steps, movements)


@dataclass(frozen=True, slots=True)
class ListDoubts:
    """Tasks of which nobody knows whether the vendor has them."""

    tasks: TaskStore
    doubts: DoubtStore
    clock: Clock

    async def __call__(self) -> list[dict[str, Any]]:
        """Return the tasks in doubt of all tenants, oldest doubt first."""
        now_ms = self.clock.now_ms()
        found = [
            task
            for shard, task_ids in await self.doubts.everywhere()
            for task in await self.tasks.load(shard, task_ids)
        ]
        return [
            {
                "id": task.id,
                "tenant": task.tenant_id,
                "mode": task.mode,
                "model": task.model,
                "since": rfc3339(task.doubt_ms),
                "age_s": max(0, now_ms - task.doubt_ms) // 1000,
                "credits_held": format_credits(task.held_microcredits),
                "resends": task.resends,
                "slot_freed": task.slot_freed,
                "vendor_key": task.vendor_key_id or None,
            }
            for task in sorted(found, key=lambda task: task.doubt_ms)
        ]
