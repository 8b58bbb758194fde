"""A submitted task's status: asked of the vendor once for everybody, and recorded."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from app import failpoints
from app.clock import Clock
from app.domain import contract
from app.domain.catalogue import Catalogue
from app.domain.ids import Mode
from app.domain.pricing import Microcredits, settlement, vendor_credits
from app.domain.schedule import PollPace, is_given_up, is_overdue, next_poll_ms
from app.domain.task import FINAL, Finished, Running, Task, TaskState, judge
from app.flows.write_off import writing_off
from app.store.keys import Shard
from app.store.poll_budget import PollBudget
from app.store.schedule import Schedules
from app.store.task_steps import Change
from app.store.tasks import TaskStore
from app.store.tenants import TenantStore
from app.telemetry import Metrics
from app.upstream.client import BATCH_SIZE, VendorClient
from app.upstream.wire import Reported, ReportOutcome, Unreadable

log = structlog.get_logger(__name__)

_BATCH_REST_MS: Final = 60_000
"""A batch call that fails costs one call a minute, and is used again a minute after it works."""


class BatchRests:
    """Vendor keys whose last batch call told nothing; their tasks are read singly meanwhile."""

    def __init__(self) -> None:
        self._until_ms: dict[str, int] = {}

    def may_try(self, vendor_key_id: str, now_ms: int) -> bool:
        """Return whether a batch may be read now: after a failure by one call in its rest."""
        until_ms = self._until_ms.get(vendor_key_id)
        if until_ms is not None:
            if now_ms < until_ms:
                return False
            self.rest(vendor_key_id, now_ms)
        return True

    def rest(self, vendor_key_id: str, now_ms: int) -> None:
        """Read no batches with a key for a while."""
        self._until_ms[vendor_key_id] = now_ms + _BATCH_REST_MS

    def end(self, vendor_key_id: str) -> None:
        """Read batches with a key again."""
        self._until_ms.pop(vendor_key_id, None)


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
    tenants: TenantStore
    schedules: Schedules
    vendors: dict[Mode, VendorClient]
    catalogue: Catalogue
    clock: Clock
    pace: PollPace
    lease_ms: int
    places: ReadPlaces
    budget: PollBudget
    in_batches: bool
    metrics: Metrics
    rests: BatchRests = field(default_factory=BatchRests)

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
                for batch in self._batches(found):
                    taken -= len(batch)
                    group.create_task(self._read_all_of(batch))
        finally:
            self.places.give_back(taken)
        return len(claimed)

    def _batches(self, found: list[Task]) -> Iterator[list[Task]]:
        """Put together what one call may read: tasks of one vendor key, or each task alone."""
        by_key: dict[tuple[Mode, str], list[Task]] = defaultdict(list)
        for task in found:
            by_key[task.mode, task.vendor_key_id].append(task)
        most = BATCH_SIZE if self.in_batches else 1
        for tasks in by_key.values():
            for first in range(0, len(tasks), most):
                yield tasks[first : first + most]

    async def _read_all_of(self, batch: list[Task]) -> None:
        """Read a batch and give its places back; what one call did not tell is read singly."""
        alone = batch
        try:
            if len(batch) > 1:
                alone = []
                await self._unharmed(self._read_together(batch, alone), batch[0])
            async with asyncio.TaskGroup() as group:
                for task in alone:
                    group.create_task(self._unharmed(self._read_alone(task), task))
        finally:
            self.places.give_back(len(batch))

    async def _unharmed(self, work: Coroutine[Any, Any, None], task: Task) -> None:
        """Work on one task so that no defect met on the way stops the reads of the others."""
        try:
            await work
        except Exception:
            self.metrics.engine_stumbles.inc()
            log.exception("engine.stumbled", task_id=task.id)

    async def _read_together(self, batch: list[Task], alone: list[Task]) -> None:
        """Read tasks of one vendor key in one call; adds to `alone` those it told nothing about."""
        vendor, key_id = self.vendors[batch[0].mode], batch[0].vendor_key_id
        key = vendor.keys.by_id(key_id)
        if key is None or not self.rests.may_try(key_id, self.clock.now_ms()):
            alone += batch
            return
        if not await self._may_call(batch):
            return
        outcomes = await vendor.report_many([task.vendor_id for task in batch], key)
        self._count("batch", outcomes)
        if isinstance(outcomes, Unreadable):
            # An undocumented call may fail on its own: nobody's task must wait for it.
            log.warning("batch.failed", vendor_key_id=key_id, why=outcomes.reason)
            self.rests.rest(key_id, self.clock.now_ms())
            alone += batch
            return
        self.rests.end(key_id)
        async with asyncio.TaskGroup() as group:
            for task in batch:
                told = outcomes.get(task.vendor_id)
                if told is None:
                    alone.append(task)
                else:
                    group.create_task(self._unharmed(self._record(task, told), task))

    async def _may_call(self, batch: list[Task]) -> bool:
        """Count one read call, or put its tasks off until their vendor key may be used again."""
        now_ms = self.clock.now_ms()
        wait_ms = await self.budget.wait_ms(batch[0].vendor_key_id, now_ms=now_ms)
        if wait_ms:
            self.metrics.reads_put_off.inc(len(batch))
            for task in batch:
                shard = Shard.of(task.tenant_id)
                await self.schedules.put_off("polls", shard, task.id, at_ms=now_ms + wait_ms)
        return not wait_ms

    async def _read_alone(self, task: Task) -> None:
        vendor = self.vendors[task.mode]
        key = vendor.keys.by_id(task.vendor_key_id)
        if key is None:
            why = f"vendor key {task.vendor_key_id} is not configured"
            await self._record(task, Unreadable(why))
            return
        if not await self._may_call([task]):
            return
        outcome = await vendor.report(task.vendor_id, key)
        self._count("report", outcome)
        await self._record(task, outcome)

    def _count(self, call: str, outcome: object) -> None:
        word = "unreadable" if isinstance(outcome, Unreadable) else "reported"
        self.metrics.vendor_calls.labels(call, word).inc()

    async def _record(self, task: Task, outcome: ReportOutcome) -> None:
        """Move a task on by what was read of it."""
        await failpoints.reach("poll.reported")
        match outcome:
            case Reported(report=report):
                change = await self._decide(task, report)
            case Unreadable(reason=reason):
                # No number of bad reads ends a task: it is asked again, and shows what it showed.
                log.warning("poll.failed", task_id=task.id, why=reason)
                change = await self._running(task, task.body)
        await self._carry_out(task, change)

    async def _decide(self, task: Task, report: dict[str, object]) -> Change:
        model = self.catalogue.models.get(task.model)
        used = used_credits(report) if model is not None and model.units == "credit" else None
        verdict = judge(
            str(report["status"]),
            was_processing=contract.shows_processing(task.body),
            used=None if task.mode == "test" else used,
        )
        match verdict:
            case Running():
                body = contract.task_answer(task, report, verdict, charged=0)
                return await self._running(task, contract.encode(body))
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
        if change.state in FINAL:
            self._tell_end(task, change)

    def _tell_end(self, task: Task, change: Change) -> None:
        self.metrics.tasks_finished.labels(change.state.value).inc()
        charged = change.charged_microcredits
        if change.state is TaskState.WRITTEN_OFF:
            log.warning("task.written_off", task_id=task.id, charged_microcredits=charged)
            return
        log.info(
            "task.finished",
            task_id=task.id,
            tenant_id=task.tenant_id,
            state=change.state.value,
            charged_microcredits=charged,
        )

    async def _running(self, task: Task, body: bytes) -> Change:
        """Return the step of a task that goes on; past our deadline it is only watched.

        Our deadline is no verdict: what the vendor makes late is delivered and charged. What was
        watched for so long that the vendor has forgotten it is written off, as a doubt is.
        """
        now_ms = self.clock.now_ms()
        state = task.state
        view = replace(contract.poll_view(task, body), watched=state is TaskState.WATCHING)
        if is_given_up(now_ms, view, self.pace):
            return await writing_off(task, self.tenants)
        if state is TaskState.SUBMITTED and is_overdue(now_ms, view, self.pace):
            state = TaskState.WATCHING
            log.warning("task.watched", task_id=task.id)
        view = replace(view, watched=state is TaskState.WATCHING)
        jitter = random.random()  # noqa: S311 - spreads reads, guards nothing
        return Change(state, body, due_ms=next_poll_ms(now_ms, view, self.pace, jitter))


def used_credits(report: dict[str, object]) -> Microcredits | None:
    """Return the vendor's final figure: the first that can be read of the two places for it."""
    usage = report.get("usage")
    if not isinstance(usage, dict):
        return None
    cost = usage.get("cost")
    figures = (usage.get("credits_used"), cost.get("credits") if isinstance(cost, dict) else None)
    return next((used for each in figures if (used := vendor_credits(each)) is not None), None)
