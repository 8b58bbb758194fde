"""What a notice claims, put to the vendor: only its answer to our own question is a fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from app.clock import Clock
from app.domain.catalogue import Catalogue
from app.domain.evidence import is_evidence
from app.domain.ids import Mode
from app.domain.pricing import settlement
from app.domain.task import Finished, Task, TaskState, judge
from app.flows.poll import used_credits
from app.flows.send import SendTask
from app.store.doubts import Correction, DoubtStore
from app.store.poll_budget import PollBudget
from app.store.tasks import TaskStore
from app.telemetry import Metrics
from app.upstream.client import VendorClient
from app.upstream.keyring import VendorKey
from app.upstream.wire import Reported, Started

log = structlog.get_logger(__name__)

Finding = Literal["proved", "disproved", "untold"]


@dataclass(frozen=True, slots=True)
class LookAtVendor:
    """Ask the vendor about one of its tasks: is it the one that a doubtful send may have made?

    It is if the vendor, asked under our own key, says that it is of that model and was made in the
    time of the send, and if it is followed for no other task.
    """

    tasks: TaskStore
    doubts: DoubtStore
    send: SendTask
    vendors: dict[Mode, VendorClient]
    catalogue: Catalogue
    budget: PollBudget
    clock: Clock
    send_ms: int
    metrics: Metrics

    async def wait_ms(self, task: Task) -> int:
        """Count one read of the task's vendor key, or return how long until there may be one."""
        return await self.budget.wait_ms(task.vendor_key_id, now_ms=self.clock.now_ms())

    async def __call__(self, task: Task, vendor_id: str) -> Finding:
        """Ask once, and carry out what follows: end the doubt, or correct what was written off.

        What the vendor did not tell may be asked again; what it has disproved is forgotten.
        """
        key = self.vendors[task.mode].keys.by_id(task.vendor_key_id)
        if key is None:
            log.warning("notice.unanswerable", task_id=task.id, vendor_key_id=task.vendor_key_id)
            return "untold"
        started = await self._ask(task, vendor_id, key)
        if started is None or not await self.doubts.claim(vendor_id, task):
            return "untold"
        if not await self._proves(task, started):
            log.warning("notice.mismatched", task_id=task.id)
            await self.doubts.disprove(task, vendor_id)
            return "disproved"
        if task.state is TaskState.IN_DOUBT:
            await self.send.found(task, self.catalogue.known(task.model), started, key)
            log.info("task.doubt_ended", task_id=task.id, reason="the vendor has it")
        elif task.state in (TaskState.WRITTEN_OFF, TaskState.REJECTED):
            await self._correct(task, started)
        return "proved"

    async def _ask(self, task: Task, vendor_id: str, key: VendorKey) -> Started | None:
        """Return the vendor's answer, None where it gave none."""
        outcome = await self.vendors[task.mode].report(vendor_id, key)
        self.metrics.vendor_calls.labels("report", type(outcome).__name__.lower()).inc()
        return Started(vendor_id, outcome.report) if isinstance(outcome, Reported) else None

    async def _proves(self, task: Task, started: Started) -> bool:
        """Return whether the vendor has this task, and not another one of that model and time."""
        vendor_id, report = started.vendor_id, started.report
        if not is_evidence(task, self.catalogue, vendor_id, report, within_ms=self.send_ms):
            return False
        return not await self.doubts.belongs_to_another(
            vendor_id, task, retention_ms=self.tasks.retention_ms
        )

    async def _correct(self, task: Task, started: Started) -> None:
        """Book what a written-off task has cost after all, once the vendor says how it ended."""
        known_unit = task.mode == "live" and self.catalogue.known(task.model).units == "credit"
        used = used_credits(started.report) if known_unit else None
        verdict = judge(str(started.report["status"]), was_processing=False, used=used)
        if not isinstance(verdict, Finished):
            return
        held = await self.tasks.first_hold(task)
        correction = Correction(
            charged_microcredits=settlement(held, verdict.used) if verdict.succeeded else 0,
            why="the vendor's late word",
            vendor_id=started.vendor_id,
        )
        more = await self.doubts.correct(task, correction, now_ms=self.clock.now_ms())
        log.warning("task.corrected", task_id=task.id, difference_microcredits=more)
