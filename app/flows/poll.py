"""A submitted task's status: asked of the vendor once for everybody, and recorded."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import structlog

from app import failpoints
from app.clock import Clock
from app.domain import contract
from app.domain.catalogue import Catalogue
from app.domain.ids import Mode
from app.domain.pricing import Microcredits, settlement, vendor_credits
from app.domain.schedule import PollPace, next_poll_ms
from app.domain.task import Finished, Running, Task, TaskState, judge
from app.store.keys import Shard
from app.store.schedule import Schedules
from app.store.task_steps import Change
from app.store.tasks import TaskStore
from app.telemetry import Metrics
from app.upstream.client import VendorClient
from app.upstream.wire import Reported, Unreadable

log = structlog.get_logger(__name__)


class ReadPlaces:
    """So many status reads at once in this process, whichever shards they are for."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    async def take(self) -> int:
        """Wait for a place, and take all others that are free too; returns how many it took."""
        await self._free.acquire()
        taken = 1
        while not self._free.locked():
            await self._free.acquire()
            taken += 1
        return taken

    def give_back(self, count: int) -> None:
        """Give places back."""
        for _ in range(count):
            self._free.release()


@dataclass(frozen=True, slots=True)
class PollTasks:
    """Read the due tasks of one shard at the vendor and move them on."""

    tasks: TaskStore
    schedules: Schedules
    vendors: dict[Mode, VendorClient]
    catalogue: Catalogue
    clock: Clock
    pace: PollPace
    lease_ms: int
    places: ReadPlaces
    metrics: Metrics

    async def __call__(self, shard: Shard) -> int:
        """Claim as many due tasks as there are places and read each once; returns how many.

        A process that dies here loses nothing: its claims come due again after the lease.
        """
        taken = await self.places.take()
        try:
            claimed = await self.schedules.claim(
                "polls", shard, now_ms=self.clock.now_ms(), lease_ms=self.lease_ms, most=taken
            )
            self.places.give_back(taken - len(claimed))
            taken = len(claimed)
            if claimed:
                await failpoints.reach("poll.claimed")
            found = await self.tasks.load(shard, claimed) if claimed else []
            async with asyncio.TaskGroup() as group:
                for task in found:
                    taken -= 1
                    group.create_task(self._read_alone(task))
        finally:
            self.places.give_back(taken)
        return len(claimed)

    async def _read_alone(self, task: Task) -> None:
        """Read one task so that no defect met on the way stops the reads of the others."""
        try:
            await self._read(task)
        except Exception:
            self.metrics.engine_stumbles.inc()
            log.exception("engine.stumbled", task_id=task.id)
        finally:
            self.places.give_back(1)

    async def _read(self, task: Task) -> None:
        vendor = self.vendors[task.mode]
        key = vendor.keys.by_id(task.vendor_key_id)
        outcome = (
            Unreadable(f"vendor key {task.vendor_key_id} is not configured")
            if key is None
            else await vendor.report(task.vendor_id, key)
        )
        self.metrics.vendor_calls.labels("report", type(outcome).__name__.lower()).inc()
        await failpoints.reach("poll.reported")
        match outcome:
            case Reported(report=report):
                change = self._decide(task, report)
            case Unreadable(reason=reason):
                # One bad read never ends a task: it is asked again, and shows what it showed.
                log.warning("poll.failed", task_id=task.id, why=reason)
                change = Change(task.state, task.body, due_ms=self._next_ms(task))
        await self._carry_out(task, change)

    def _decide(self, task: Task, report: dict[str, object]) -> Change:
        model = self.catalogue.models.get(task.model)
        used = _used_credits(report) if model is not None and model.units == "credit" else None
        verdict = judge(
            str(report["status"]),
            was_processing=contract.shows_processing(task.body),
            used=None if task.mode == "test" else used,
        )
        match verdict:
            case Running():
                body = contract.task_answer(task, report, verdict, charged=0)
                return Change(task.state, contract.encode(body), due_ms=self._next_ms(task))
            case Finished(succeeded=True):
                charged = settlement(task.held_microcredits, verdict.used)
                body = contract.task_answer(task, report, verdict, charged=charged)
                return Change(
                    TaskState.COMPLETED, contract.encode(body), charged_microcredits=charged
                )
            case Finished():
                body = contract.task_answer(task, report, verdict, charged=0)
                cancelled = contract.shows_cancelled(body)
                return Change(TaskState.FAILED, contract.encode(body), cancelled=cancelled)

    async def _carry_out(self, task: Task, change: Change) -> None:
        moved = await self.tasks.advance(task, change, now_ms=self.clock.now_ms())
        await failpoints.reach("poll.advanced")
        if not moved:
            log.info("poll.stale", task_id=task.id)
            return
        if change.charged_microcredits > task.held_microcredits:
            log.warning(
                "hold.exceeded",
                task_id=task.id,
                held_microcredits=task.held_microcredits,
                charged_microcredits=change.charged_microcredits,
            )
        if change.state in (TaskState.COMPLETED, TaskState.FAILED):
            self.metrics.tasks_finished.labels(change.state.value).inc()
            log.info(
                "task.finished",
                task_id=task.id,
                tenant_id=task.tenant_id,
                state=change.state.value,
                charged_microcredits=change.charged_microcredits,
            )

    def _next_ms(self, task: Task) -> int:
        jitter = random.random()  # noqa: S311 - spreads reads, guards nothing
        return next_poll_ms(self.clock.now_ms(), task.submitted_ms, self.pace, jitter)


def _used_credits(report: dict[str, object]) -> Microcredits | None:
    """Return the vendor's final figure; it stands in one of two places."""
    usage = report.get("usage")
    if not isinstance(usage, dict):
        return None
    cost = usage.get("cost")
    figure = usage.get("credits_used", cost.get("credits") if isinstance(cost, dict) else None)
    return vendor_credits(figure)
