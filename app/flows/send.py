"""One admitted task on its way to the vendor: sent at most once, its outcome recorded."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, assert_never

import structlog

from app import failpoints
from app.clock import Clock
from app.domain import contract
from app.domain.catalogue import Model
from app.domain.ids import Mode
from app.domain.pricing import Microcredits, vendor_credits
from app.domain.public_text import public_text
from app.domain.requests import CreateRequest
from app.domain.schedule import PollPace, first_poll_ms, retry_send_ms
from app.domain.task import Task, TaskState
from app.errors import (
    GatewayError,
    NoVendorCapacity,
    StoreForeign,
    StoreUnavailable,
    UpstreamRejected,
    VendorRefused,
    VendorUnreachable,
)
from app.store.keys import Shard
from app.store.task_steps import Acceptance, Change, NewTask
from app.store.tasks import TaskStore
from app.telemetry import Metrics
from app.upstream.client import VendorClient
from app.upstream.keyring import VendorKey
from app.upstream.wire import Ambiguous, NotSent, Refused, Started, SubmitOutcome

log = structlog.get_logger(__name__)

SEND_ATTEMPTS: Final = 3
"""Tries of a send that surely did not leave; more would outlast the callers' patience."""

RECORD_PATIENCE_MS: Final = 20_000
"""How long an outcome known to this process alone is offered to a store that does not answer."""

_RECORD_PAUSE_MS: Final = 250

_KEY_STATUSES: Final = frozenset({401, 402, 403, 429})
"""Refusals that are about the gateway's key, not about the caller's request."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class SendTask:
    """Send a task recorded as `sending`, and turn what is known afterwards into its next state."""

    tasks: TaskStore
    vendors: dict[Mode, VendorClient]
    clock: Clock
    pace: PollPace
    metrics: Metrics

    async def __call__(self, task: Task, wanted: CreateRequest, key: VendorKey) -> bytes:
        """Return the answer to the create.

        Raises:
            GatewayError: the vendor refused, or was not reached; the hold is released.
        """
        outcome = await self._try_to_send(self.vendors[task.mode], task, wanted.vendor_body, key)
        self.metrics.vendor_calls.labels("submit", type(outcome).__name__.lower()).inc()
        await failpoints.reach("submit.answered")
        match outcome:
            case Started():
                return await self._accept(task, wanted.model, outcome, key)
            case Refused():
                return await self._reject(task, refusal_of(outcome), why=f"status {outcome.status}")
            case NotSent():
                return await self._reject(task, VendorUnreachable(), why=outcome.reason)
            case Ambiguous():
                return await self._doubt(task, outcome)
            case _:
                assert_never(outcome)

    async def _try_to_send(
        self, vendor: VendorClient, task: Task, body: str, key: VendorKey
    ) -> SubmitOutcome:
        """Send; only a call that surely did not leave is tried again."""
        for attempt in range(1, SEND_ATTEMPTS):
            outcome = await vendor.submit(body, task.id, key)
            if not isinstance(outcome, NotSent):
                return outcome
            await self.clock.sleep_ms(retry_send_ms(attempt, random.random()))  # noqa: S311 - jitter
        return await vendor.submit(body, task.id, key)

    async def _accept(self, task: Task, model: Model, started: Started, key: VendorKey) -> bytes:
        held = held_after(task, model, started.report)
        body = contract.created_answer(
            json.loads(task.body), started.report, vendor_id=started.vendor_id, held=held
        )
        acceptance = Acceptance(
            vendor_id=started.vendor_id,
            vendor_key_id=key.id,
            held_microcredits=held,
            body=contract.encode(body),
            poll_at_ms=first_poll_ms(self.clock.now_ms(), self.pace),
        )
        await failpoints.reach("submit.accepting")
        try:
            answer = await self._record(
                task, lambda: self.tasks.accept(task, acceptance, now_ms=self.clock.now_ms())
            )
        except StoreForeign:
            # The vendor works on a task that is recorded nowhere else: this line is its only trace.
            log.exception(
                "task.lost", task_id=task.id, vendor_id=started.vendor_id, vendor_key_id=key.id
            )
            raise
        log.info("task.accepted", task_id=task.id, vendor_key_id=key.id)
        await failpoints.reach("submit.accepted")
        return answer

    async def _reject(self, task: Task, refusal: GatewayError, *, why: str) -> bytes:
        """Release everything.

        Whoever was told 200 already reads a failed task; to everybody else the id is unknown.

        Raises:
            GatewayError: `refusal`, where the create has not been answered yet.
        """
        body = contract.encode(contract.refused_answer(task, refusal))
        await self._record(task, lambda: self._advance(task, Change(TaskState.REJECTED, body)))
        self.metrics.tasks_finished.labels("rejected").inc()
        log.warning("task.rejected", task_id=task.id, reason=refusal.reason, why=why)
        raise refusal

    async def _doubt(self, task: Task, outcome: Ambiguous) -> bytes:
        """Keep hold and slot, say `pending`, and never send again."""
        change = Change(TaskState.IN_DOUBT, task.body, due_ms=self.clock.now_ms())
        await self._record(task, lambda: self._advance(task, change))
        self.metrics.tasks_doubted.inc()
        log.warning("task.doubted", task_id=task.id, why=outcome.reason)
        return await self.tasks.answer_of(task)

    async def withdraw(self, new: NewTask, *, admitted_ms: int) -> None:
        """Undo an admission whose reply was lost: it may be stored, and was surely not sent.

        What this misses, because the store stays away or runs the admission later still, is found
        in doubt at its recovery time.
        """
        task = new.admitted(now_ms=admitted_ms, group="")
        change = Change(TaskState.REJECTED, task.body)
        if await self._record(
            task, lambda: self.tasks.advance(task, change, now_ms=self.clock.now_ms())
        ):
            log.warning("task.withdrawn", task_id=task.id)

    async def _advance(self, task: Task, change: Change) -> None:
        """Carry out `change`, also where an engine has called the task doubtful in the meantime."""
        if await self.tasks.advance(task, change, now_ms=self.clock.now_ms()):
            return
        for found in await self.tasks.load(Shard.of(task.tenant_id), [task.id]):
            if found.state is TaskState.IN_DOUBT and change.state is not TaskState.IN_DOUBT:
                await self.tasks.advance(found, change, now_ms=self.clock.now_ms())

    async def _record(self, task: Task, change: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Record what only this process knows, trying again for a while if the store is away.

        Every change offered here is safe to repeat: it names the state it was decided on.

        Raises:
            StoreUnavailable: the store stayed away; the task will be found in doubt.
        """
        until_ms = self.clock.now_ms() + RECORD_PATIENCE_MS
        while True:
            try:
                return await change()
            except StoreUnavailable:
                if self.clock.now_ms() >= until_ms:
                    log.exception(
                        "store.failed", task_id=task.id, doing="recording the vendor's answer"
                    )
                    raise
                await self.clock.sleep_ms(_RECORD_PAUSE_MS)


def held_after(task: Task, model: Model, report: dict[str, Any]) -> Microcredits:
    """Return the hold once the vendor has named its own, where the catalogue knows the unit."""
    usage = report.get("usage")
    if task.mode == "test" or model.units != "credit" or not isinstance(usage, dict):
        return task.held_microcredits
    named = vendor_credits(usage.get("credits_reserved"))
    return task.held_microcredits if named is None else named


def refusal_of(refused: Refused) -> GatewayError:
    """Return the caller's error for a refusal; what concerns our key is never shown as theirs."""
    if refused.status in VendorRefused.SHOWN_AS:
        return VendorRefused(
            public_text(refused.message, VendorRefused.default_message),
            status=refused.status,
            param=public_text(refused.param, "") or None,
        )
    if refused.status in _KEY_STATUSES:
        log.error("vendor.key_refused", status=refused.status)
        return NoVendorCapacity(retry_after_s=refused.retry_after_s)
    return UpstreamRejected()
