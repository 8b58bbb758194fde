"""An operator ends a doubt, or puts a task right, by hand; the audit log has why."""

from __future__ import annotations

import json
from dataclasses import dataclass

import structlog

from app.clock import Clock
from app.domain import contract
from app.domain.audit import Act, Actor
from app.domain.pricing import format_credits
from app.domain.resolution import Resolution, unfit
from app.domain.task import Task, TaskState
from app.errors import NotResolvable, TaskNotFound, UpstreamRejected
from app.flows.vouch import VouchForId
from app.flows.write_off import writing_off
from app.store.doubts import Correction, DoubtStore
from app.store.keys import Shard
from app.store.task_steps import Acceptance, Change
from app.store.tasks import TaskStore
from app.store.tenants import TenantStore
from app.telemetry import Metrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResolveDoubt:
    """Carry out what an operator found out about a task."""

    tasks: TaskStore
    doubts: DoubtStore
    tenants: TenantStore
    vouch: VouchForId
    clock: Clock
    metrics: Metrics

    async def __call__(self, task_id: str, wanted: Resolution, by: Actor) -> None:
        """End a doubt, put right a task that is followed, or correct the cost of one that ended.

        Raises:
            TaskNotFound: nothing is known of the task, or no longer.
            NotResolvable: the word does not fit its state, or the id is not that of the task.
            NoVendorKey, VendorUnreachable: the vendor could not be asked about the id.
        """
        task = await self._known(task_id)
        if why_not := unfit(wanted.how, task.state):
            raise NotResolvable(why_not, param="as")
        act = self._act(task, wanted, by)
        if wanted.how == "corrected":
            await self._correct(task, wanted, act)
            return
        done = await (self._accept if wanted.how == "accepted" else self._end)(task, wanted, act)
        if not done:
            raise NotResolvable("as: the task has changed meanwhile: look at it again", param="as")
        log.warning("task.resolved", task_id=task_id, how=wanted.how)

    async def _known(self, task_id: str) -> Task:
        """Return the task.

        Raises:
            TaskNotFound: there is none.
            NotResolvable: there is one, but its record cannot be read.
        """
        record = await self.tasks.find(task_id)
        if record is None:
            raise TaskNotFound
        for task in await self.tasks.load(Shard.of(record["tenant"]), [task_id]):
            return task
        if await self.tasks.find(task_id) is None:
            raise TaskNotFound
        raise NotResolvable(
            "the record of the task cannot be read by this version of the gateway, the log has why:"
            " use the version that wrote it"
        )

    def _act(self, task: Task, wanted: Resolution, by: Actor) -> Act:
        detail = wanted.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        detail["task"] = task.id
        return Act(by, "task.resolved", task.tenant_id, self.clock.now_ms(), detail=detail)

    async def _accept(self, task: Task, wanted: Resolution, act: Act) -> bool:
        """Follow the task under the vendor's id, in place of one under which it is followed.

        Raises:
            NotResolvable: another task is followed under it, or it cannot be that of this one.
            NoVendorKey, VendorUnreachable: the vendor could not be asked.
        """
        vendor_id = wanted.vendor_id or ""
        if not wanted.unseen:
            await self.vouch(task, vendor_id)
        if not await self.doubts.claim(vendor_id, task) or await self.doubts.belongs_to_another(
            vendor_id, task, retention_ms=self.tasks.retention_ms
        ):
            raise NotResolvable(
                "vendor_id: another task is followed under that id: look it up again",
                param="vendor_id",
            )
        acceptance = Acceptance(
            vendor_id=vendor_id,
            vendor_key_id=task.vendor_key_id,
            held_microcredits=task.held_microcredits,
            body=_accepted_body(task, vendor_id),
            poll_at_ms=act.at_ms,
            act=act,
        )
        await self.tasks.accept(task, acceptance, now_ms=act.at_ms)
        # A task that changed meanwhile was left as it had become.
        found = await self.tasks.load(Shard.of(task.tenant_id), [task.id])
        return [each.vendor_id for each in found] == [vendor_id]

    async def _end(self, task: Task, wanted: Resolution, act: Act) -> bool:
        if wanted.how == "rejected":
            body = contract.encode(contract.refused_answer(task, UpstreamRejected()))
            change = Change(TaskState.REJECTED, body, why="by an operator", act=act)
        else:
            change = await writing_off(task, self.tenants, act)
        done = await self.tasks.advance(task, change, now_ms=act.at_ms)
        if done:
            self.metrics.tasks_finished.labels(change.state.value).inc()
        return done

    async def _correct(self, task: Task, wanted: Resolution, act: Act) -> None:
        charged = wanted.credits or 0
        why = f"by an operator, to {format_credits(charged)}"
        correction = Correction(charged, why, act=act)
        if await self.doubts.correct(task, correction, now_ms=act.at_ms) is None:
            raise TaskNotFound
        log.warning("task.corrected", task_id=task.id, charged_microcredits=charged)


def _accepted_body(task: Task, vendor_id: str) -> bytes:
    """Return what an accepted task shows; one that was followed shows what it did."""
    if task.state is not TaskState.IN_DOUBT:
        return task.body
    pending, held = json.loads(task.body), task.held_microcredits
    return contract.encode(contract.created_answer(pending, {}, vendor_id=vendor_id, held=held))
