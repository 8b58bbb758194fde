"""Tasks: admitted, accepted, advanced and read; one script each."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.asyncio import Redis

from app.domain.pricing import Microcredits
from app.domain.task import FINAL, Task, TaskState, check_arrow
from app.domain.tenant import Caller
from app.errors import (
    CreditExhausted,
    GatewayError,
    IdempotencyConflict,
    IdempotencyInFlight,
    InvalidKey,
    ModelNotAllowed,
    PriceUnknown,
    RateLimited,
    StoreForeign,
    TaskNotFound,
    TenantDisabled,
    TooManyInFlight,
)
from app.store.keys import ALL_SHARDS, IDEMPOTENCY_TTL_MS, USAGE_TTL_MS, Shard, windows
from app.store.scripts import Script, store_errors
from app.store.task_record import read_record

REFUSALS: Final[dict[str, type[GatewayError]]] = {
    error.reason: error
    for error in (
        StoreForeign,
        InvalidKey,
        TenantDisabled,
        IdempotencyConflict,
        IdempotencyInFlight,
        ModelNotAllowed,
        RateLimited,
        TooManyInFlight,
        PriceUnknown,
        CreditExhausted,
    )
}
"""What `admit.lua` and `read_task.lua` may refuse with, by the word they use."""

IDEMPOTENCY_LEASE_MS: Final = 30_000
"""How long a first call keeps its Idempotency-Key to itself without an answer (contract C11)."""

_NO_IDEMPOTENCY: Final = "none"


@dataclass(frozen=True, slots=True)
class NewTask:
    """All that `admit` needs to know of a task that does not exist yet."""

    id: str
    caller: Caller
    model: str
    held_microcredits: Microcredits
    price_is_known: bool
    recover_ms: int
    body_around_group: tuple[bytes, bytes]
    request_body: str
    idempotency: str
    fingerprint: str

    def admitted(self, *, now_ms: int, group: str) -> Task:
        """Return the record that an admission at `now_ms` writes."""
        return Task(
            id=self.id,
            tenant_id=self.caller.tenant_id,
            key_id=self.caller.key_id,
            mode=self.caller.mode,
            model=self.model,
            state=TaskState.SENDING,
            version=1,
            created_ms=now_ms,
            held_microcredits=self.held_microcredits,
            body=group.encode().join(self.body_around_group),
            group=group,
            idempotency=self.idempotency,
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """The task is recorded as being sent; nobody else will send it."""

    task: Task


@dataclass(frozen=True, slots=True)
class Replayed:
    """The Idempotency-Key was used before with an equal body; this was its answer."""

    task_id: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the vendor's yes changes in a task."""

    vendor_id: str
    vendor_key_id: str
    held_microcredits: Microcredits
    body: bytes
    poll_at_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """One decided step of a task. `due_ms` is the next read, or the beginning of the doubt."""

    state: TaskState
    body: bytes
    charged_microcredits: Microcredits = 0
    due_ms: int = 0


class TaskStore:
    """The records of all tasks. Methods named as changes run one script and are atomic."""

    def __init__(self, redis: Redis, epoch_id: str, *, retention_ms: int) -> None:
        self._redis, self._epoch_id, self._retention_ms = redis, epoch_id, retention_ms
        self._admit = Script(redis, "admit")
        self._accept = Script(redis, "accept")
        self._remember = Script(redis, "remember")
        self._advance = Script(redis, "advance")
        self._read_task = Script(redis, "read_task")

    async def admit(self, new: NewTask, *, now_ms: int) -> Admitted | Replayed:
        """Check every limit, hold the price, take the slots and record the task, all or nothing.

        Safe to repeat with the same idempotency key: the first admission answers again.

        Raises:
            GatewayError: one of `REFUSALS`; nothing was written.
            StoreUnavailable: no reply; the task is either fully admitted or not at all, and one
                that was admitted becomes doubtful at its recovery time.
        """
        outcome, *rest = await self._admit(
            **_admit_keys(new, now_ms),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            task_id=new.id,
            tenant_id=new.caller.tenant_id,
            key_id=new.caller.key_id,
            mode=new.caller.mode,
            model=new.model,
            hold=new.held_microcredits,
            price_known=int(new.price_is_known),
            recover_ms=new.recover_ms,
            keyed=int(bool(new.idempotency)),
            fingerprint=new.fingerprint,
            lease_ms=IDEMPOTENCY_LEASE_MS,
            idem_name=new.idempotency,
            day_name=windows(now_ms)[0],
            month_name=windows(now_ms)[1],
            body_head=new.body_around_group[0],
            body_tail=new.body_around_group[1],
            request_body=new.request_body,
            usage_ttl_ms=USAGE_TTL_MS,
        )
        if outcome == b"refused":
            reason, wait_ms = rest[0].decode(), int(rest[1])
            raise REFUSALS[reason](retry_after_s=-(-wait_ms // 1000) or None)
        if outcome == b"replayed":
            return Replayed(rest[0].decode(), rest[1])
        if outcome == b"unanswered":
            return await self._answer_orphan(new, rest[0].decode())
        return Admitted(new.admitted(now_ms=now_ms, group=rest[0].decode()))

    async def _answer_orphan(self, new: NewTask, task_id: str) -> Replayed:
        """Answer for a first call whose process is gone: with the task as it stands.

        Raises:
            IdempotencyInFlight: it was refused at this very moment; the repeat will be the first.
        """
        answer = await self.remember(new.caller, task_id, new.idempotency)
        if answer is None:
            raise IdempotencyInFlight
        return Replayed(task_id, answer)

    async def accept(self, task: Task, acceptance: Acceptance, *, now_ms: int) -> bytes:
        """Record the vendor's yes and return the answer to the create.

        Repeating is harmless. A task that is no longer being sent keeps its state, and the answer
        is the one it shows.

        Raises:
            StoreForeign: the store no longer holds the task: it was emptied or exchanged since.
        """
        shard, day, month = self._place(task)
        outcome, answer = await self._accept(
            task=shard.task(task.id),
            request=shard.request(task.id),
            idem=self._idempotency_of(task),
            ledger=shard.ledger(task.id),
            sends=shard.sends,
            doubts=shard.doubts,
            polls=shard.polls,
            day=day,
            month=month,
            now_ms=now_ms,
            task_id=task.id,
            vendor_id=acceptance.vendor_id,
            vendor_key_id=acceptance.vendor_key_id,
            held=acceptance.held_microcredits,
            body=acceptance.body,
            poll_at_ms=acceptance.poll_at_ms,
            keyed=int(bool(task.idempotency)),
            key_id=task.key_id,
        )
        if outcome == b"stale":
            return await self.answer_of(task)
        return bytes(answer)

    async def answer_of(self, task: Task) -> bytes:
        """Return the answer to the create of an admitted task; see `remember`.

        Raises:
            StoreForeign: the store does not hold the task: it was emptied or exchanged since.
        """
        answer = await self.remember(_caller_of(task), task.id, task.idempotency)
        if answer is None:
            raise StoreForeign
        return answer

    async def remember(self, caller: Caller, task_id: str, idempotency: str) -> bytes | None:
        """Return the answer to a task's create; where none was given, its body becomes that answer.

        None where there is no such task, or it was refused before anybody was answered.
        """
        shard = Shard.of(caller.tenant_id)
        answer: bytes | None = await self._remember(
            task=shard.task(task_id),
            idem=shard.idempotency(caller.tenant_id, caller.mode, idempotency or _NO_IDEMPOTENCY),
            keyed=int(bool(idempotency)),
        )
        return answer

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
            key_slots=shard.slots(task.tenant_id, task.mode, task.key_id),
            ledger=shard.ledger(task.id),
            sends=shard.sends,
            doubts=shard.doubts,
            polls=shard.polls,
            day=day,
            month=month,
            now_ms=now_ms,
            task_id=task.id,
            version=task.version,
            state=change.state.value,
            body=change.body,
            final=int(change.state in FINAL),
            charged=change.charged_microcredits,
            due_ms=change.due_ms,
            key_id=task.key_id,
            keyed=int(bool(task.idempotency)),
            task_expires_ms=now_ms + self._retention_ms,
            idem_expires_ms=now_ms + IDEMPOTENCY_TTL_MS,
        )
        return bool(outcome == b"advanced")

    async def read(self, task_id: str, *, caller: Caller, now_ms: int) -> tuple[bytes, bool]:
        """Return the answer to a status read, and whether the task is finished.

        Raises:
            TaskNotFound: unknown, expired, of another tenant, or of the tenant's other mode.
            InvalidKey: the key was revoked or has expired.
            TenantDisabled: the operator switched the tenant off.
            StoreForeign: the store was emptied or exchanged; nothing can be said of the task.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._read_task(
            epoch=shard.epoch,
            tenant=shard.tenant(caller.tenant_id),
            key=shard.key(caller.tenant_id, caller.key_id),
            task=shard.task(task_id),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            tenant_id=caller.tenant_id,
            mode=caller.mode,
        )
        if outcome == b"refused":
            raise REFUSALS[rest[0].decode()]
        if outcome == b"unknown":
            raise TaskNotFound
        return rest[0], TaskState(rest[1].decode()) in FINAL

    async def load(self, shard: Shard, task_ids: list[str]) -> list[Task]:
        """Return tasks of one shard, in one round trip.

        Missing ones are left out, and so is, with a log entry, one that this version cannot read:
        a newer one may have written it, and its neighbours must not wait for that.
        """
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for task_id in task_ids:
                    pipe.hgetall(shard.task(task_id))
                found: list[dict[bytes, bytes]] = await pipe.execute()
        return [task for fields in found if fields and (task := read_record(fields)) is not None]

    async def find(self, task_id: str) -> dict[str, str] | None:
        """Return every stored field of a task, whoever owns it; for operators.

        Ids carry no shard, so all shards are asked, in one round trip.
        """
        with store_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for shard in ALL_SHARDS:
                    pipe.hgetall(shard.task(task_id))
                found: list[dict[bytes, bytes]] = await pipe.execute()
        for fields in found:
            if fields:
                return {
                    name.decode(): value.decode("utf-8", "replace")
                    for name, value in fields.items()
                }
        return None

    async def ledger(self, tenant_id: str, task_id: str) -> list[tuple[int, str, Microcredits]]:
        """Return a task's money movements, oldest first: instant, kind, amount."""
        with store_errors():
            lines: list[bytes] = await cast(
                Awaitable[Any], self._redis.lrange(Shard.of(tenant_id).ledger(task_id), 0, -1)
            )
        entries = (line.decode("ascii").split(" ") for line in lines)
        return [(int(at_ms), kind, int(amount)) for at_ms, kind, amount in entries]

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
    tenant_id, key_id, mode = caller.tenant_id, caller.key_id, caller.mode
    day, month = windows(now_ms)
    return {
        "epoch": shard.epoch,
        "tenant": shard.tenant(tenant_id),
        "key": shard.key(tenant_id, key_id),
        "idem": shard.idempotency(tenant_id, mode, new.idempotency or _NO_IDEMPOTENCY),
        "rate": shard.rate(tenant_id, mode),
        "key_rate": shard.rate(tenant_id, mode, key_id),
        "slots": shard.slots(tenant_id, mode),
        "key_slots": shard.slots(tenant_id, mode, key_id),
        "day": shard.usage(tenant_id, mode, day),
        "month": shard.usage(tenant_id, mode, month),
        "task": shard.task(new.id),
        "request": shard.request(new.id),
        "ledger": shard.ledger(new.id),
        "sends": shard.sends,
    }


def _caller_of(task: Task) -> Caller:
    return Caller(tenant_id=task.tenant_id, key_id=task.key_id, mode=task.mode)
