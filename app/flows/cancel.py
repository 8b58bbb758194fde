"""A task is called off: free before it was sent, refused afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from app.clock import Clock
from app.domain import contract
from app.domain.audit import Act, Actor
from app.domain.resolution import CallingOff
from app.domain.task import TaskState
from app.domain.tenant import Caller
from app.errors import CannotCancel, TaskNotFound
from app.store.keys import Shard
from app.store.task_reads import TaskReads
from app.store.task_steps import Change
from app.store.tasks import TaskStore
from app.telemetry import Metrics

log = structlog.get_logger(__name__)

_TRIES: Final = 3
"""A task may be put back into its queue between a look and the change; then one looks again."""


@dataclass(frozen=True, slots=True)
class CallOff:
    """Take a queued task out of its queue and release its hold, whoever wants it."""

    tasks: TaskStore
    clock: Clock
    metrics: Metrics

    async def __call__(
        self, task_id: str, tenant_id: str, *, why: str, act: Act | None = None
    ) -> bytes:
        """Cancel a task and return what it shows now; `act` is recorded with the change.

        Repeating is harmless, and leaves no second act.

        Raises:
            CannotCancel: it was sent, or has ended otherwise, or is gone; nothing was changed.
        """
        for _ in range(_TRIES):
            for task in await self.tasks.load(Shard.of(tenant_id), [task_id]):
                if task.state is TaskState.CANCELLED:
                    return task.body
                if task.state is not TaskState.QUEUED:
                    raise CannotCancel
                body = contract.cancelled_answer(task.body)
                change = Change(TaskState.CANCELLED, body, cancelled=True, why=why, act=act)
                if await self.tasks.advance(task, change, now_ms=self.clock.now_ms()):
                    self.metrics.tasks_finished.labels("cancelled").inc()
                    log.info("task.finished", task_id=task_id, state="cancelled")
                    return body
        raise CannotCancel


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Cancel for the tenant whose task it is."""

    call_off: CallOff
    reads: TaskReads
    clock: Clock

    async def __call__(self, task_id: str, caller: Caller) -> bytes:
        """Cancel a queued task and return what it shows now; repeating is harmless.

        Raises:
            TaskNotFound: it is not the caller's.
            CannotCancel: it was sent, or has ended otherwise; nothing was changed.
        """
        await self.reads.one(task_id, caller=caller, now_ms=self.clock.now_ms())
        return await self.call_off(task_id, caller.tenant_id, why="by its tenant")


@dataclass(frozen=True, slots=True)
class CancelAnyTask:
    """Cancel for an operator, whosever task it is."""

    call_off: CallOff

    async def __call__(self, task_id: str, wanted: CallingOff, by: Actor) -> None:
        """Cancel a queued task and leave that in the audit log; repeating is harmless.

        Raises:
            TaskNotFound: nothing is known of it, or no longer.
            CannotCancel: it was sent, or has ended otherwise; nothing was changed.
        """
        record = await self.call_off.tasks.find(task_id)
        if record is None:
            raise TaskNotFound
        detail = {"task": task_id, **wanted.model_dump()}
        at_ms, tenant_id = self.call_off.clock.now_ms(), record["tenant"]
        act = Act(by, "task.cancelled", tenant_id, at_ms, detail=detail)
        await self.call_off(task_id, tenant_id, why="by an operator", act=act)
