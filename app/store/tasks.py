"""Tasks: admitted, accepted and advanced; one script each. Reading them is `task_reads`."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from app.domain.contract import news_of
from app.domain.listing import ListName
from app.domain.task import FINAL, Task, check_arrow
from app.domain.tenant import Caller
from app.errors import IdempotencyInFlight, StoreForeign
from app.store.identity import StoreIdentity
from app.store.keys import (
    IDEMPOTENCY_TTL_MS,
    LIST_NAMES,
    USAGE_TTL_MS,
    Shard,
    caller_keys,
    windows,
)
from app.store.meter import rates_of_create
from app.store.refusals import refusal
from app.store.scripts import Script
from app.store.task_record import QueueName, Retiring
from app.store.task_records import TaskRecords
from app.store.task_steps import Acceptance, Accepted, Admitted, Change, NewTask, Queued, Replayed

IDEMPOTENCY_LEASE_MS: Final = 30_000
"""How long a first call keeps its Idempotency-Key to itself without an answer (contract C11)."""

QUEUE_LOOK_MS: Final = 10_000
"""A queue is looked at this often where nothing wakes it: a limit may have been raised."""

_NO_IDEMPOTENCY: Final = "none"
_GIVEN_UP: Final = frozenset({b"rejected", b"written_off"})


class TaskStore(TaskRecords):
    """The records of all tasks. Methods named as changes run one script and are atomic."""

    def __init__(self, redis: Redis, identity: StoreIdentity, *, retention_ms: int) -> None:
        super().__init__(redis)
        self._identity, self._retention_ms = identity, retention_ms
        self._admit = Script(redis, "admit")
        self._accept = Script(redis, "accept")
        self._remember = Script(redis, "remember")
        self._advance = Script(redis, "advance")
        self._find_replay = Script(redis, "find_replay")
        self._forget_task = Script(redis, "forget_task")

    @property
    def retention_ms(self) -> int:
        """How long a finished task is kept."""
        return self._retention_ms

    async def admit(self, new: NewTask, *, now_ms: int) -> Admitted | Queued | Replayed:
        """Check every limit, hold the price, take slots or a place in the queue, record the task.

        All or nothing.

        Safe to repeat with the same idempotency key: the first admission answers again.

        Raises:
            GatewayError: one of `refusals.REFUSALS`; nothing was written.
            StoreUnavailable: no reply; the task is either fully admitted or not at all, and one
                that was admitted becomes doubtful at its recovery time.
        """
        shard = Shard.of(new.caller.tenant_id)
        outcome, *rest = await self._admit(
            **_admit_keys(new, now_ms),
            **_admit_values(new, now_ms),
            **self._identity.claims(shard),
        )
        if outcome == b"refused":
            raise refusal(rest[0], rest[1])
        if outcome == b"set_back":
            await self._identity.shut(shard)
        if outcome == b"replayed":
            return Replayed(rest[0].decode(), rest[1], rates_of_create(*rest[2]))
        if outcome == b"unanswered":
            return await self._answer_orphan(new, rest[0].decode())
        group, told, mark, *position = rest
        self._identity.saw(shard, tuple(mark))
        rates = rates_of_create(*told)
        if outcome == b"queued":
            body = group.join(new.queued_body_around_group)
            return Queued(new.id, body, position[0], rates)
        return Admitted(new.admitted(now_ms=now_ms, group=group.decode()), rates)

    async def find_replay(
        self, caller: Caller, idempotency: str, fingerprint: str, *, now_ms: int
    ) -> Replayed | None:
        """Return the answer that an Idempotency-Key got before, or None where it got none.

        Raises:
            IdempotencyConflict: it was used with another body.
            InvalidKey, TenantDisabled, StoreForeign: the caller may not ask.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._find_replay(
            **caller_keys(caller.tenant_id, caller.key_id),
            idem=shard.idempotency(caller.tenant_id, caller.mode, idempotency),
            now_ms=now_ms,
            epoch_id=self._identity.epoch_id,
            fingerprint=fingerprint,
        )
        if outcome == b"refused":
            raise refusal(rest[0])
        return Replayed(rest[0].decode(), rest[1], None) if rest else None

    async def _answer_orphan(self, new: NewTask, task_id: str) -> Replayed:
        """Answer for a first call whose process is gone: with the task as it stands.

        Raises:
            IdempotencyInFlight: it was refused at this very moment; the repeat will be the first.
        """
        answer = await self.remember(new.caller, task_id, new.idempotency)
        if answer is None:
            raise IdempotencyInFlight
        return Replayed(task_id, answer, None)

    async def accept(self, task: Task, acceptance: Acceptance, *, now_ms: int) -> Accepted:
        """Record the vendor's yes and return the answer to the create.

        Repeating is harmless. A task that is no longer being sent keeps its state, and the answer
        is the one it shows; an operator's yes replaces that of one which is followed.

        Raises:
            StoreForeign: the store no longer holds the task: it was emptied or exchanged since.
        """
        shard, day, month = self._place(task)
        outcome, answer = await self._accept(
            task=shard.task(task.id),
            request=shard.request(task.id),
            idem=self._idempotency_of(task),
            ledger=shard.ledger(task.id),
            story=shard.story(task.id),
            sends=shard.sends,
            doubts=shard.doubts,
            polls=shard.polls,
            day=day,
            month=month,
            now_ms=now_ms,
            task_id=task.id,
            version=task.version,
            vendor_id=acceptance.vendor_id,
            vendor_key_id=acceptance.vendor_key_id,
            held=acceptance.held_microcredits,
            body=acceptance.body,
            poll_at_ms=acceptance.poll_at_ms,
            keyed=int(bool(task.idempotency)),
            family=task.family,
            model=task.model,
            audit=shard.audit,
            **_told(task, acceptance.body),
            entry=acceptance.act.entry() if acceptance.act else "",
        )
        if outcome == b"stale":
            if answer not in _GIVEN_UP:
                return Accepted(await self.answer_of(task), too_late=False)
            first = await self.remember(_caller_of(task), task.id, task.idempotency)
            return Accepted(first or b"", too_late=True)
        return Accepted(bytes(answer), too_late=False)

    async def answer_of(self, task: Task, answer: bytes = b"") -> bytes:
        """Return the answer to the create of an admitted task; see `remember`.

        Raises:
            StoreForeign: the store does not hold the task: it was emptied or exchanged since.
        """
        first = await self.remember(_caller_of(task), task.id, task.idempotency, answer)
        if first is None:
            raise StoreForeign
        return first

    async def remember(
        self, caller: Caller, task_id: str, idempotency: str, answer: bytes = b""
    ) -> bytes | None:
        """Return the answer to a task's create; if none was given, `answer` or its body becomes it.

        None where there is no such task, or it was refused before anybody was answered.
        """
        shard = Shard.of(caller.tenant_id)
        first: bytes | None = await self._remember(
            task=shard.task(task_id),
            idem=shard.idempotency(caller.tenant_id, caller.mode, idempotency or _NO_IDEMPOTENCY),
            keyed=int(bool(idempotency)),
            answer=answer,
        )
        return first

    async def advance(self, task: Task, change: Change, *, now_ms: int) -> bool:
        """Carry out a step that was decided on `task`; returns False if somebody was faster.

        A final state settles or releases the hold, frees the slots and starts the record's last
        days, in the same script. False means that nothing was changed.

        Raises:
            ForbiddenArrow: the step is not an arrow of the state machine.
        """
        check_arrow(task.state, change.state)
        shard, day, month = self._place(task)
        outcome, *_ = await self._advance(
            task=shard.task(task.id),
            request=shard.request(task.id),
            idem=self._idempotency_of(task),
            slots=shard.slots(task.tenant_id, task.mode),
            key_slots=shard.slots(task.tenant_id, task.mode, task.family),
            queue=shard.queue(task.tenant_id, task.mode),
            ledger=shard.ledger(task.id),
            story=shard.story(task.id),
            sends=shard.sends,
            doubts=shard.doubts,
            polls=shard.polls,
            dispatch=shard.dispatch,
            audit=shard.audit,
            retires=shard.retires,
            day=day,
            month=month,
            **_lists_at_the_end(task, change),
            **_told(task, change.body),
            now_ms=now_ms,
            task_id=task.id,
            version=task.version,
            state=change.state.value,
            body=change.body,
            final=int(change.state in FINAL),
            charged=change.charged_microcredits,
            due_ms=change.due_ms,
            family=task.family,
            model=task.model,
            outcome=change.outcome,
            retire_member=Retiring.of(task).member(),
            keyed=int(bool(task.idempotency)),
            task_expires_ms=now_ms + self._retention_ms,
            idem_expires_ms=now_ms + IDEMPOTENCY_TTL_MS,
            queue_member=QueueName(task.tenant_id, task.mode).member(),
            why=change.why,
            entry=change.act.entry() if change.act else "",
        )
        return bool(outcome == b"advanced")

    async def forget(self, retiring: Retiring) -> bool:
        """Delete what is left of a finished task whose days are over; False if nothing was left."""
        shard, place = Shard.of(retiring.tenant_id), (retiring.tenant_id, retiring.mode)
        gone: int = await self._forget_task(
            retires=shard.retires,
            task=shard.task(retiring.task_id),
            ledger=shard.ledger(retiring.task_id),
            story=shard.story(retiring.task_id),
            lists=[
                shard.listed(*place, which, model)
                for which in LIST_NAMES
                for model in ("", retiring.model)
            ],
            member=retiring.member(),
            task_id=retiring.task_id,
        )
        return gone > 0

    def _idempotency_of(self, task: Task) -> str:
        return Shard.of(task.tenant_id).idempotency(
            task.tenant_id, task.mode, task.idempotency or _NO_IDEMPOTENCY
        )

    @staticmethod
    def _place(task: Task) -> tuple[Shard, str, str]:
        """Return a task's shard and the usage records of the windows it was admitted in."""
        shard = Shard.of(task.tenant_id)
        day, month = windows(task.created_ms)
        return (
            shard,
            shard.usage(task.tenant_id, task.mode, day),
            shard.usage(task.tenant_id, task.mode, month),
        )


def _admit_keys(new: NewTask, now_ms: int) -> dict[str, str]:
    """Return the keys that an admission touches; all lie in the tenant's shard."""
    caller, shard = new.caller, Shard.of(new.caller.tenant_id)
    tenant_id, mode, family = caller.tenant_id, caller.mode, caller.family
    day, month = windows(now_ms)
    return {
        "epoch": shard.epoch,
        "marks": shard.marks,
        "tenant": shard.tenant(tenant_id),
        "key": shard.key(tenant_id, caller.key_id),
        "idem": shard.idempotency(tenant_id, mode, new.idempotency or _NO_IDEMPOTENCY),
        "rate": shard.rate(tenant_id, mode),
        "key_rate": shard.rate(tenant_id, mode, family),
        "slots": shard.slots(tenant_id, mode),
        "key_slots": shard.slots(tenant_id, mode, family),
        "day": shard.usage(tenant_id, mode, day),
        "month": shard.usage(tenant_id, mode, month),
        "task": shard.task(new.id),
        "request": shard.request(new.id),
        "ledger": shard.ledger(new.id),
        "story": shard.story(new.id),
        "queue": shard.queue(tenant_id, mode),
        "dispatch": shard.dispatch,
        "sends": shard.sends,
        "all_list": shard.listed(tenant_id, mode, "all"),
        "all_of_model": shard.listed(tenant_id, mode, "all", new.model),
        "open_list": shard.listed(tenant_id, mode, "open"),
        "open_of_model": shard.listed(tenant_id, mode, "open", new.model),
    }


def _admit_values(new: NewTask, now_ms: int) -> dict[str, str | int | bytes]:
    """Return what an admission is told; the answer comes in parts, around the tenant's group."""
    caller, (day, month) = new.caller, windows(now_ms)
    head, tail = new.body_around_group
    queued_head, queued_tail = new.queued_body_around_group
    return {
        "now_ms": now_ms,
        "task_id": new.id,
        "tenant_id": caller.tenant_id,
        "key_id": caller.key_id,
        "family": caller.family,
        "mode": caller.mode,
        "model": new.model,
        "subject": caller.subject,
        "callback": new.callback,
        "vendor_key": new.vendor_key_id,
        "hold": new.held_microcredits,
        "price_known": int(new.price_is_known),
        "recover_ms": new.recover_ms,
        "keyed": int(bool(new.idempotency)),
        "fingerprint": new.fingerprint,
        "lease_ms": IDEMPOTENCY_LEASE_MS,
        "idem_name": new.idempotency,
        "day_name": day,
        "month_name": month,
        "head": head,
        "tail": tail,
        "queued_head": queued_head,
        "queued_tail": queued_tail,
        "request_body": new.request_body,
        "usage_ttl_ms": USAGE_TTL_MS,
        "look_ms": now_ms + QUEUE_LOOK_MS,
        "queue_member": QueueName(caller.tenant_id, caller.mode).member(),
    }


def _told(task: Task, body: bytes) -> dict[str, str]:
    """Return who is told of a new answer of a task, and of what."""
    shard, news = Shard.of(task.tenant_id), news_of(task.body, body)
    return {
        "news": shard.news(task.tenant_id, task.mode),
        "webhooks": shard.webhooks(task.tenant_id, task.mode),
        "deliveries": shard.deliveries,
        "event": news.event,
        "notice": news.notice,
    }


def _lists_at_the_end(task: Task, change: Change) -> dict[str, str]:
    """Return the lists that a finished task is moved between."""
    shard = Shard.of(task.tenant_id)
    closed: ListName = "completed" if change.outcome == "completed" else "failed"
    kinds: dict[str, ListName] = {
        "all": "all",
        "open": "open",
        "closed": closed,
        "cancelled": "cancelled",
    }
    place = task.tenant_id, task.mode
    return {
        f"{kind}_{scope}": shard.listed(*place, which, model)
        for kind, which in kinds.items()
        for scope, model in (("list", ""), ("of_model", task.model))
    }


def _caller_of(task: Task) -> Caller:
    return Caller(tenant_id=task.tenant_id, key_id=task.key_id, mode=task.mode)
