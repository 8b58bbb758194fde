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
from app.domain import contract, strict_json
from app.domain.catalogue import Catalogue
from app.domain.ids import is_task_id, mint_task_id
from app.domain.rates import Rates
from app.domain.requests import CreateRequest, check_create
from app.domain.targets import Target, TargetPolicy
from app.domain.tenant import Caller
from app.errors import (
    GatewayError,
    IdempotencyConflict,
    InvalidRequest,
    NoVendorKey,
    StoreUnavailable,
    TaskNotFound,
    TokenScope,
    UpstreamRejected,
)
from app.flows.send import SendTask
from app.store.task_reads import TaskReads
from app.store.task_steps import NewTask, Queued, Replayed
from app.store.tasks import TaskStore
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
    """The answer to a create. `replayed`: an earlier call with the same Idempotency-Key gave it.

    `rates` is how the caller stands after it, None where the admission did not say.
    """

    answer: bytes
    replayed: bool
    rates: Rates | None


@dataclass(frozen=True, slots=True)
class SubmitVideo:
    """Check, admit, have sent; answer with the vendor's verdict, or in time without it."""

    catalogue: Catalogue
    targets: TargetPolicy
    tasks: TaskStore
    reads: TaskReads
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
        try:
            wanted = check_create(raw, self.catalogue, self.targets)
            _refuse_callback_of_token(wanted, caller)
            key = self._free_key(caller)
            await failpoints.reach("submit.arrived")
            wanted = await self._translated(wanted, caller)
        except GatewayError:
            # The first answer stands, whatever has become of keys, catalogue and earlier tasks.
            if replay := await self._replay_of(raw, caller, idempotency_key):
                return replay
            raise
        new = self._new_task(wanted, caller, key, idempotency_key)
        work = self.running.start(self._admit_and_send(new, wanted, key), name=f"submit {new.id}")
        if await self.running.finished_within(work, self.timing.answer_ms / 1000):
            return work.result()
        answer = await self.tasks.remember(caller, new.id, new.idempotency)
        if answer is None:
            return await asyncio.shield(work)
        return Created(answer, replayed=False, rates=None)

    async def _translated(self, wanted: CreateRequest, caller: Caller) -> CreateRequest:
        """Return the request with the vendor's ids for the caller's earlier tasks.

        Raises:
            TaskNotFound: one is not the caller's own.
            InvalidRequest: one never reached the vendor.
        """
        vendor_ids: dict[str, str] = {}
        for path, task_id in wanted.earlier_tasks.items():
            if not is_task_id(task_id):
                raise TaskNotFound(param=path)
            try:
                task = await self.reads.one(task_id, caller=caller, now_ms=self.clock.now_ms())
            except TaskNotFound:
                raise TaskNotFound(param=path) from None
            if not task.vendor_id:
                raise InvalidRequest(
                    f"Invalid {path} parameter: that task has not been taken by the video service;"
                    " name one that is completed",
                    param=path,
                )
            vendor_ids[path] = task.vendor_id
        return wanted.naming(vendor_ids) if vendor_ids else wanted

    def _free_key(self, caller: Caller) -> VendorKey:
        """Return the vendor key to create with, if one more create may be under way.

        Raises:
            NoVendorKey, Overloaded, Stopping: it may not.
        """
        key = self.send.vendors[caller.mode].keys.pick()
        if key is None:
            raise NoVendorKey
        self.running.refuse_when_full()
        return key

    async def _replay_of(self, raw: bytes, caller: Caller, idempotency_key: str) -> Created | None:
        if not idempotency_key:
            return None
        name = _idempotency_name(idempotency_key, caller)
        fingerprint = strict_json.fingerprint(strict_json.parse_object(raw))
        now_ms = self.clock.now_ms()
        try:
            found = await self.tasks.find_replay(caller, name, fingerprint, now_ms=now_ms)
        except IdempotencyConflict:
            return None  # what is wrong with the request itself is the better answer
        return None if found is None else Created(found.answer, replayed=True, rates=None)

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
            return Created(admission.answer, replayed=True, rates=admission.rates)
        if isinstance(admission, Queued):
            return await self._queued(new, admission)
        task = admission.task
        self.metrics.tasks_admitted.labels(task.mode).inc()
        log.info("task.admitted", task_id=task.id, tenant_id=task.tenant_id, model=task.model)
        await failpoints.reach("submit.admitted")
        answer = await self.send(task, wanted.model, wanted.vendor_body, key)
        return Created(answer, replayed=False, rates=admission.rates)

    async def _queued(self, new: NewTask, admission: Queued) -> Created:
        """Answer at once: an engine sends the task when its turn comes."""
        self.metrics.tasks_admitted.labels(new.caller.mode).inc()
        log.info("task.queued", task_id=new.id, position=admission.position)
        await failpoints.reach("submit.queued")
        shown = contract.with_queue_position(admission.body, admission.position)
        answer = await self.tasks.remember(new.caller, new.id, new.idempotency, shown)
        if answer is None:
            # Sent by an engine and refused by the vendor before anybody was answered.
            raise UpstreamRejected
        return Created(answer, replayed=False, rates=admission.rates)

    def _new_task(
        self, wanted: CreateRequest, caller: Caller, key: VendorKey, idempotency_key: str
    ) -> NewTask:
        now_ms = self.clock.now_ms()
        task_id = mint_task_id(now_ms, secrets.choice)
        price = 0 if caller.mode == "test" else wanted.price
        held = 0 if price is None else price
        return NewTask(
            id=task_id,
            caller=caller,
            model=wanted.model.name,
            vendor_key_id=key.id,
            held_microcredits=held,
            price_is_known=price is not None,
            recover_ms=now_ms + self.timing.send_ms + RECOVERY_MARGIN_MS,
            body_around_group=contract.pending_around_group(task_id, wanted.model, held=held),
            queued_body_around_group=contract.pending_around_group(
                task_id, wanted.model, held=held, queued=True
            ),
            request_body=wanted.vendor_body,
            idempotency=_idempotency_name(idempotency_key, caller),
            fingerprint=wanted.fingerprint,
            callback=_callback_of(wanted.callback),
        )


def _refuse_callback_of_token(wanted: CreateRequest, caller: Caller) -> None:
    """Keep whoever holds a browser from having the gateway call addresses in its name.

    Raises:
        TokenScope: a browser token brings a `callback_url`.
    """
    if caller.is_token and wanted.callback is not None:
        raise TokenScope(
            "Access denied: a token must not name a callback_url; follow the task instead",
            param="callback_url",
        )


def _callback_of(target: Target | None) -> str:
    """Return the stored form of a callback: whose turn it waits for, and the address.

    Callbacks to one origin share a receiver, so that one that hangs holds up no other.
    """
    if target is None:
        return ""
    digest = hashlib.sha256(target.origin.encode("ascii")).hexdigest()
    return f"callback-{digest[:12]} {target.url}"


def _idempotency_name(key: str, caller: Caller) -> str:
    """Return the stored name of an Idempotency-Key on this path, or "" where none was given.

    Browser tokens have names of their own for each subject: no other may be told what they got.
    """
    if not key:
        return ""
    used_by = f"{caller.subject}\n" if caller.subject else ""
    return hashlib.sha256(f"/v1/videos/generations\n{used_by}{key}".encode()).hexdigest()
