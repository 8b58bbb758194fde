"""One admitted task on its way to the vendor: sent at most once, its outcome recorded."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Final, assert_never

import structlog

from app import failpoints
from app.clock import Clock
from app.domain import contract
from app.domain.callback_token import CallbackToken
from app.domain.catalogue import Model
from app.domain.doubt import FIRST_LOOK_MS
from app.domain.ids import Mode
from app.domain.pricing import Microcredits, vendor_credits
from app.domain.public_text import public_text
from app.domain.requeue import requeued
from app.domain.schedule import PollPace, first_poll_ms, retry_send_ms
from app.domain.task import Task, TaskState
from app.errors import (
    GatewayError,
    NoVendorCapacity,
    StoreForeign,
    UpstreamRejected,
    VendorRefused,
    VendorUnreachable,
)
from app.flows.recording import RECORD_PATIENCE_MS, until_recorded
from app.flows.vendor_health import VendorHealth
from app.store.doubts import Correction, DoubtStore
from app.store.keys import Shard
from app.store.task_queue import TaskQueue
from app.store.task_steps import Acceptance, Change, NewTask
from app.store.tasks import TaskStore
from app.telemetry import Metrics
from app.upstream.client import VendorClient
from app.upstream.keyring import VendorKey
from app.upstream.wire import Ambiguous, NotSent, Refused, Started, SubmitOutcome

log = structlog.get_logger(__name__)

SEND_ATTEMPTS: Final = 3
"""Tries of a send that surely did not leave; more would outlast the callers' patience."""

_FORBIDDEN: Final = 403
_KEY_STATUSES: Final = frozenset({401, 402, 403, 429})
"""Refusals that are about the gateway's key, not about the caller's request."""


@dataclass(frozen=True, slots=True)
class CallbackAddresses:
    """Which address the vendor is told to call back, if any.

    `policy` is the setting: for models that document a callback, always, or never.
    """

    public_url: str
    policy: str
    secret: bytes

    def added_to(self, body: str, task: Task, model: Model) -> str:
        """Return a body for the vendor, a JSON object that is not empty, with our address."""
        wanted = self.policy == "always" or (
            self.policy == "documented" and model.callback_url_documented
        )
        if not (self.public_url and wanted and task.mode == "live"):
            return body
        token = CallbackToken(Shard.of(task.tenant_id).number, task.id).write(self.secret)
        address = json.dumps(f"{self.public_url}/vendor/callback/{token}")
        return f'{body[:-1]},"callback_url":{address}}}'


@dataclass(frozen=True, slots=True)
class SendTask:
    """Send a task recorded as `sending`, and turn what is known afterwards into its next state."""

    tasks: TaskStore
    queue: TaskQueue
    doubts: DoubtStore
    vendors: dict[Mode, VendorClient]
    health: dict[Mode, VendorHealth]
    clock: Clock
    pace: PollPace
    callbacks: CallbackAddresses
    metrics: Metrics

    async def __call__(self, task: Task, model: Model, body: str, key: VendorKey) -> bytes:
        """Send `body`, and return the answer to the create.

        Raises:
            GatewayError: the vendor refused, or was not reached, and the tenant does not queue for
                that; the hold is released.
        """
        body = self.callbacks.added_to(body, task, model)
        outcome = await self._try_to_send(self.vendors[task.mode], task, body, key)
        self.metrics.vendor_calls.labels("submit", type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Ambiguous):
            self.health[task.mode].doubted()
        elif not isinstance(outcome, NotSent):
            self.health[task.mode].heard()
        await failpoints.reach("submit.answered")
        match outcome:
            case Started():
                return await self._accept(task, model, outcome, key)
            case Refused():
                refusal, why = refusal_of(outcome), f"status {outcome.status}"
                if isinstance(refusal, NoVendorCapacity):
                    forbidden = outcome.status == _FORBIDDEN
                    return await self._wait_or_reject(task, refusal, why, forbidden=forbidden)
                return await self._reject(task, refusal, why=why)
            case NotSent():
                return await self._wait_or_reject(task, VendorUnreachable(), outcome.reason)
            case Ambiguous():
                return await self._doubt(task, outcome)
            case _:
                assert_never(outcome)

    async def again(self, task: Task, model: Model, body: str, key: VendorKey) -> None:
        """Repeat the send of a task in doubt, under the same idempotency key.

        A yes is recorded. A refusal of the request itself says that there never was a task: the
        vendor would have answered with the first. All else leaves the doubt as it is.

        Raises:
            GatewayError: the vendor refused the request itself; the hold is released.
        """
        body = self.callbacks.added_to(body, task, model)
        outcome = await self.vendors[task.mode].submit(body, task.id, key)
        self.metrics.vendor_calls.labels("resubmit", type(outcome).__name__.lower()).inc()
        match outcome:
            case Started():
                await self._accept(task, model, outcome, key)
            case Refused(status=status) if status in VendorRefused.SHOWN_AS:
                await self._reject(task, refusal_of(outcome), why=f"status {status} on a resend")
            case _:
                log.info("task.doubt_kept", task_id=task.id, outcome=type(outcome).__name__)

    async def found(self, task: Task, model: Model, started: Started, key: VendorKey) -> None:
        """Record that the vendor has a task that was in doubt.

        Raises:
            StoreUnavailable: the store is away; what was found can be found again.
        """
        await self._accept(task, model, started, key, patience_ms=0)

    async def _wait_or_reject(
        self, task: Task, refusal: GatewayError, why: str, *, forbidden: bool = False
    ) -> bytes:
        """Put a task that was surely not created back into its queue, if its tenant wants that.

        Tries are bounded. `forbidden`: the vendor's refusal may be about this request alone.

        Raises:
            GatewayError: `refusal`, where it does not.
        """
        body = contract.queued_answer(task.body)
        wait = requeued(
            task.tries,
            forbidden=forbidden,
            retry_after_s=refusal.retry_after_s,
            jitter=random.random(),  # noqa: S311 - spreads tries, guards nothing
        )
        if wait is None:
            return await self._reject(task, refusal, why=f"{why}, tried {task.tries + 1} times")
        position = await until_recorded(
            lambda: self.queue.requeue(
                task, body=body, why=why, wait=wait, now_ms=self.clock.now_ms()
            ),
            self.clock,
            task_id=task.id,
            outcome=why,
        )
        if position is None:
            return await self._reject(task, refusal, why=why)
        await failpoints.reach("submit.requeued")
        if position == 0:
            # An earlier try did it, its reply was lost, and the task has gone on since.
            return await self.tasks.answer_of(task)
        log.info("task.requeued", task_id=task.id, why=why)
        return await self.tasks.answer_of(task, contract.with_queue_position(body, position))

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

    async def _accept(
        self,
        task: Task,
        model: Model,
        started: Started,
        key: VendorKey,
        patience_ms: int = RECORD_PATIENCE_MS,
    ) -> bytes:
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
        known = {"task_id": task.id, "vendor_id": started.vendor_id, "vendor_key_id": key.id}
        try:
            taken = await until_recorded(
                lambda: self.tasks.accept(task, acceptance, now_ms=self.clock.now_ms()),
                self.clock,
                patience_ms=patience_ms,
                **known,
            )
        except StoreForeign:
            # The vendor works on a task that is recorded nowhere else: this line is its only trace.
            log.exception("task.lost", **known)
            raise
        if taken.too_late:
            await self._book_late(task, started.vendor_id, held)
        else:
            log.info("task.accepted", task_id=task.id, vendor_key_id=key.id)
        await failpoints.reach("submit.accepted")
        if not taken.answer:
            raise UpstreamRejected
        return taken.answer

    async def _book_late(self, task: Task, vendor_id: str, held: Microcredits) -> None:
        """Count the price of a task that was given up, and is being made after all.

        Its tenant was answered that it failed, and that stays; a callback of the vendor, or an
        operator, corrects the figure once it is known how it ended.
        """
        correction = Correction(held, "the vendor took it after all", vendor_id)
        more = await until_recorded(
            lambda: self.doubts.correct(task, correction, now_ms=self.clock.now_ms()),
            self.clock,
            task_id=task.id,
            vendor_id=vendor_id,
        )
        log.warning("task.late", task_id=task.id, vendor_id=vendor_id, difference_microcredits=more)

    async def _reject(self, task: Task, refusal: GatewayError, *, why: str) -> bytes:
        """Release everything.

        Whoever was told 200 already reads a failed task; to everybody else the id is unknown.

        Raises:
            GatewayError: `refusal`, where the create has not been answered yet.
        """
        body = contract.encode(contract.refused_answer(task, refusal))
        change = Change(TaskState.REJECTED, body, why=why)
        await until_recorded(
            lambda: self._advance(task, change), self.clock, task_id=task.id, outcome=why
        )
        await failpoints.reach("submit.rejected")
        self.metrics.tasks_finished.labels("rejected").inc()
        log.warning("task.rejected", task_id=task.id, reason=refusal.reason, why=why)
        raise refusal

    async def _doubt(self, task: Task, outcome: Ambiguous) -> bytes:
        """Keep hold and slot, say `pending`, and never send again."""
        due_ms = self.clock.now_ms() + FIRST_LOOK_MS
        change = Change(TaskState.IN_DOUBT, task.body, due_ms=due_ms, why=outcome.reason)
        await until_recorded(
            lambda: self._advance(task, change), self.clock, task_id=task.id, outcome=change.why
        )
        await failpoints.reach("submit.doubted")
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
        if await until_recorded(
            lambda: self.tasks.advance(task, change, now_ms=self.clock.now_ms()),
            self.clock,
            task_id=task.id,
            outcome="the admission had no reply",
        ):
            log.warning("task.withdrawn", task_id=task.id)

    async def _advance(self, task: Task, change: Change) -> None:
        """Carry out `change`, also where an engine has called the task doubtful in the meantime."""
        if await self.tasks.advance(task, change, now_ms=self.clock.now_ms()):
            return
        for found in await self.tasks.load(Shard.of(task.tenant_id), [task.id]):
            if found.state is TaskState.IN_DOUBT and change.state is not TaskState.IN_DOUBT:
                await self.tasks.advance(found, change, now_ms=self.clock.now_ms())


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
