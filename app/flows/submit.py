"""A tenant's create: checked, admitted, handed to be sent, answered in time."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

import structlog

from app import failpoints
from app.clock import Clock
from app.detached import DetachedWork
from app.domain import contract
from app.domain.catalogue import Catalogue
from app.domain.ids import mint_task_id
from app.domain.requests import CreateRequest, check_create
from app.domain.tenant import Caller
from app.errors import GatewayError, NoVendorKey, StoreUnavailable
from app.flows.send import SendTask
from app.store.tasks import NewTask, Replayed, TaskStore
from app.telemetry import Metrics
from app.upstream.keyring import VendorKey

log = structlog.get_logger(__name__)

RECOVERY_MARGIN_MS: Final = 30_000
"""Beyond the send's own deadline: time to record the answer, before an engine calls it doubtful."""


@dataclass(frozen=True, slots=True)
class SubmitTiming:
    """Deadlines of a create in milliseconds: for its answer, and for all attempts of its send."""

    answer_ms: int
    send_ms: int


@dataclass(frozen=True, slots=True)
class Created:
    """The answer to a create. `replayed`: an earlier call with the same Idempotency-Key gave it."""

    answer: bytes
    replayed: bool


@dataclass(frozen=True, slots=True)
class SubmitVideo:
    """Check, admit, have sent; answer with the vendor's verdict, or in time without it."""

    catalogue: Catalogue
    tasks: TaskStore
    send: SendTask
    running: DetachedWork
    clock: Clock
    timing: SubmitTiming
    metrics: Metrics

    async def __call__(self, raw: bytes, caller: Caller, idempotency_key: str) -> Created:
        """Create one task, or return the answer of the create that this one repeats.

        The send goes on to its own deadline if the caller hangs up or the answer is due first.

        Raises:
            GatewayError: nothing was created and nothing is held; except `StoreUnavailable`, after
                which the outcome is told by repeating the call with its Idempotency-Key.
        """
        wanted = check_create(raw, self.catalogue)
        key = self.send.vendors[caller.mode].keys.pick()
        if key is None:
            raise NoVendorKey
        self.running.refuse_when_full()
        await failpoints.reach("submit.arrived")
        new = self._new_task(wanted, caller, idempotency_key)
        work = self.running.start(self._admit_and_send(new, wanted, key), name=f"submit {new.id}")
        if await self.running.finished_within(work, self.timing.answer_ms / 1000):
            return work.result()
        answer = await self.tasks.remember(caller, new.id, new.idempotency)
        return await asyncio.shield(work) if answer is None else Created(answer, replayed=False)

    async def _admit_and_send(self, new: NewTask, wanted: CreateRequest, key: VendorKey) -> Created:
        now_ms = self.clock.now_ms()
        try:
            admission = await self.tasks.admit(new, now_ms=now_ms)
        except GatewayError as refusal:
            self.metrics.tasks_refused.labels(refusal.reason).inc()
            if isinstance(refusal, StoreUnavailable):
                undoing = self.send.withdraw(new, admitted_ms=now_ms)
                self.running.start(undoing, name=f"withdraw {new.id}")
            raise
        if isinstance(admission, Replayed):
            return Created(admission.answer, replayed=True)
        task = admission.task
        self.metrics.tasks_admitted.labels(task.mode).inc()
        log.info("task.admitted", task_id=task.id, tenant_id=task.tenant_id, model=task.model)
        await failpoints.reach("submit.admitted")
        return Created(await self.send(task, wanted, key), replayed=False)

    def _new_task(self, wanted: CreateRequest, caller: Caller, idempotency_key: str) -> NewTask:
        now_ms = self.clock.now_ms()
        task_id = mint_task_id(now_ms, secrets.choice)
        price = 0 if caller.mode == "test" else wanted.price
        held = 0 if price is None else price
        return NewTask(
            id=task_id,
            caller=caller,
            model=wanted.model.name,
            held_microcredits=held,
            price_is_known=price is not None,
            recover_ms=now_ms + self.timing.send_ms + RECOVERY_MARGIN_MS,
            body_around_group=contract.pending_around_group(task_id, wanted.model, held=held),
            request_body=wanted.vendor_body,
            idempotency=_idempotency_name(idempotency_key),
            fingerprint=wanted.fingerprint,
        )


def _idempotency_name(key: str) -> str:
    """Return the stored name of an Idempotency-Key on this path, or "" where none was given."""
    return hashlib.sha256(f"/v1/videos/generations\n{key}".encode()).hexdigest() if key else ""
