"""A store without a gateway around it, and the short ways to its scripts."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from app.clock import HeldClock
from app.domain.ids import Mode, mint_task_id
from app.domain.requeue import Requeue
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.errors import GatewayError
from app.store.account import AccountStore
from app.store.api_keys import KeyStore
from app.store.audit import AuditLog
from app.store.connect import connect
from app.store.doubts import DoubtStore
from app.store.epoch import settle_epoch
from app.store.identity import StoreIdentity
from app.store.keys import Shard
from app.store.meter import Meter
from app.store.schedule import Schedules
from app.store.task_queue import Dispatched, TaskQueue
from app.store.task_reads import TaskReads
from app.store.task_record import QueueName
from app.store.task_steps import Acceptance, Admitted, Change, NewTask, Queued, Replayed
from app.store.tasks import TaskStore
from app.store.tenants import TenantStore
from tests.support.tenant_keys import issued_key, key_of_tenant, limit, revoke, switch

PRICE = 100_000
"""What a task of these tests holds, microcredits."""

RETENTION_MS = 30 * 86_400_000
RECOVER_MS = 210_000


@dataclass
class Shelf:
    """One client of a store, as a process has it; the clock stands still until it is moved."""

    redis: Redis
    identity: StoreIdentity
    tasks: TaskStore
    reads: TaskReads
    tenants: TenantStore
    keys: KeyStore
    meter: Meter
    accounts: AccountStore
    audit: AuditLog
    schedules: Schedules
    queue: TaskQueue
    doubts: DoubtStore
    clock: HeldClock

    async def caller(
        self, tenant_id: str = "acme", *, mode: Mode = "live", **limits: Any
    ) -> Caller:
        """Return a caller with a new key; the tenant is made with `limits` if there is none."""
        now_ms = self.clock.now_ms()
        secret = await key_of_tenant(
            self.tenants, self.keys, tenant_id, now_ms=now_ms, mode=mode, **limits
        )
        return await self._caller_with(secret, mode)

    async def colleague(self, caller: Caller, **limits: Any) -> Caller:
        """Return another key of the same tenant and mode, with limits of its own."""
        now_ms = self.clock.now_ms()
        secret = await issued_key(
            self.keys, caller.tenant_id, now_ms=now_ms, mode=caller.mode, **limits
        )
        return await self._caller_with(secret, caller.mode)

    async def limit(self, tenant_id: str, **limits: Any) -> None:
        """Change limits of a tenant; None lifts one."""
        await limit(self.tenants, tenant_id, at_ms=self.clock.now_ms(), **limits)

    async def switch(self, tenant_id: str, *, disabled: bool) -> None:
        """Switch a tenant off or on."""
        await switch(self.tenants, tenant_id, at_ms=self.clock.now_ms(), disabled=disabled)

    async def revoke(self, tenant_id: str, key_id: str) -> None:
        """End a key."""
        await revoke(self.keys, tenant_id, key_id, at_ms=self.clock.now_ms())

    async def _caller_with(self, secret: str, mode: Mode) -> Caller:
        found = await self.keys.find_caller(secret, mode)
        assert found is not None
        return found

    def new(self, caller: Caller, **changes: Any) -> NewTask:
        """Return a task that is not admitted yet."""
        now_ms = self.clock.now_ms()
        fields = {
            "id": mint_task_id(now_ms, secrets.choice),
            "caller": caller,
            "model": "sora-character",
            "held_microcredits": PRICE if caller.mode == "live" else 0,
            "price_is_known": True,
            "recover_ms": now_ms + RECOVER_MS,
            "vendor_key_id": "vk_000000000000",
            "body_around_group": (b'{"status":"pending","group":"', b'"}'),
            "queued_body_around_group": (b'{"status":"pending","task_info":{},"group":"', b'"}'),
            "request_body": '{"model":"sora-character"}',
            "idempotency": "",
            "fingerprint": "f" * 64,
        }
        return NewTask(**{**fields, **changes})

    async def admit(self, caller: Caller, **changes: Any) -> Task:
        """Admit a new task, which must pass."""
        admission = await self.tasks.admit(self.new(caller, **changes), now_ms=self.clock.now_ms())
        assert isinstance(admission, Admitted)
        return admission.task

    async def attempt(self, caller: Caller, **changes: Any) -> str:
        """Try to admit a new task; returns what came of it, or the reason of the refusal."""
        return await self.offer(self.new(caller, **changes))

    async def offer(self, new: NewTask) -> str:
        """Try to admit a task; returns what came of it, or the reason of the refusal."""
        try:
            admission = await self.tasks.admit(new, now_ms=self.clock.now_ms())
        except GatewayError as refusal:
            return refusal.reason
        match admission:
            case Replayed():
                return "replayed"
            case Queued():
                return "queued"
            case _:
                return "admitted"

    async def queued(self, caller: Caller, **changes: Any) -> Task:
        """Admit a new task, which must have to wait."""
        admission = await self.tasks.admit(self.new(caller, **changes), now_ms=self.clock.now_ms())
        assert isinstance(admission, Queued), admission
        (task,) = await self.tasks.load(Shard.of(caller.tenant_id), [admission.task_id])
        return task

    async def dispatch(self, task: Task, *, taker: str = "") -> str:
        """Try to take a queued task to be sent; returns `dispatched`, or why not."""
        taken = await self.queue.dispatch(
            task,
            body=b'{"status":"pending","sent":true}',
            vendor_key_id="vk_000000000000",
            recover_ms=self.clock.now_ms() + RECOVER_MS,
            taker=taker or secrets.token_hex(8),
            now_ms=self.clock.now_ms(),
        )
        return "dispatched" if isinstance(taken, Dispatched) else taken

    async def requeue(
        self, task: Task, *, wait_ms: int = 5_000, yields: bool = False
    ) -> int | None:
        """Put a task that was surely not created back; returns its position, None if refused."""
        return await self.queue.requeue(
            task,
            body=b'{"status":"pending"}',
            why="test",
            wait=Requeue(wait_ms, yields),
            now_ms=self.clock.now_ms(),
        )

    async def line(self, caller: Caller) -> list[str]:
        """Return the ids of a tenant's queued tasks, first to last."""
        name = QueueName(caller.tenant_id, caller.mode)
        return [task_id for task_id, _ in await self.queue.waiting(name, 0, 10_000)]

    async def next_look_ms(self, caller: Caller) -> int | None:
        """Return in how long a tenant's queue is looked at next; None: it is not."""
        member = QueueName(caller.tenant_id, caller.mode).member()
        at_ms = await self.redis.zscore(Shard.of(caller.tenant_id).dispatch, member)
        return None if at_ms is None else int(at_ms) - self.clock.now_ms()

    async def accept(self, task: Task, **changes: Any) -> bytes:
        """Record that the vendor took `task`; returns the answer to its create."""
        taken = await self.tasks.accept(
            task, self.acceptance(task, **changes), now_ms=self.clock.now_ms()
        )
        return taken.answer

    def acceptance(self, task: Task, **changes: Any) -> Acceptance:
        """Return a vendor's yes to `task`."""
        fields = {
            "vendor_id": vendor_id_of(task),
            "vendor_key_id": "vk_000000000000",
            "held_microcredits": PRICE,
            "body": b'{"status":"pending","accepted":true}',
            "poll_at_ms": self.clock.now_ms() + 15_000,
        }
        return Acceptance(**{**fields, **changes})

    async def submitted(self, caller: Caller, **changes: Any) -> Task:
        """Return a task that the vendor has taken."""
        task = await self.admit(caller, **changes)
        await self.accept(task, held_microcredits=task.held_microcredits)
        return await self.reload(task)

    async def move(self, task: Task, state: TaskState, **changes: Any) -> bool:
        """Advance `task` as it was read; returns whether nobody was faster."""
        body = b'{"status":"%s"}' % state.encode()
        change = _change(state, **{"body": body, **changes})
        return await self.tasks.advance(task, change, now_ms=self.clock.now_ms())

    async def reload(self, task: Task) -> Task:
        """Return the task as it is stored now."""
        (found,) = await self.tasks.load(Shard.of(task.tenant_id), [task.id])
        return found

    async def figures(self, caller: Caller, window: str) -> dict[str, int]:
        """Return the usage record of one window of a caller's tenant."""
        name = Shard.of(caller.tenant_id).usage(caller.tenant_id, caller.mode, window)
        found = await self.redis.hgetall(name)
        return {field.decode(): int(value) for field, value in found.items()}

    async def money(self, task: Task) -> list[tuple[str, int]]:
        """Return the kinds and amounts of a task's ledger."""
        entries = await self.tasks.ledger(task.tenant_id, task.id)
        return [(kind, amount) for _, kind, amount in entries]


def _change(
    state: TaskState, *, body: bytes, charged: int = 0, due_ms: int = 0, cancelled: bool = False
) -> Change:
    """Return a step by the short names of these tests."""
    return Change(state, body, charged, due_ms, cancelled)


def vendor_id_of(task: Task) -> str:
    """Return the id under which the vendor of these tests knows a task."""
    return f"task-unified-1767917446-{task.id[-8:]}"


@asynccontextmanager
async def open_shelf(url: str, folder: Path, clock: HeldClock) -> AsyncIterator[Shelf]:
    """Connect to a store as one more process would."""
    # No race of these tests may be decided by a machine that is busy elsewhere.
    redis = connect(url, connect_timeout_s=5, call_timeout_s=10)
    try:
        epoch_id = await settle_epoch(redis, folder, "")
        identity = StoreIdentity(redis, epoch_id)
        tasks = TaskStore(redis, identity, retention_ms=RETENTION_MS)
        yield Shelf(
            redis=redis,
            identity=identity,
            tasks=tasks,
            reads=TaskReads(redis, epoch_id),
            tenants=TenantStore(redis, epoch_id),
            keys=KeyStore(redis, epoch_id),
            meter=Meter(redis, epoch_id),
            accounts=AccountStore(redis, epoch_id),
            audit=AuditLog(redis, epoch_id),
            schedules=Schedules(redis, identity),
            queue=TaskQueue(redis, identity),
            doubts=DoubtStore(redis, epoch_id),
            clock=clock,
        )
    finally:
        await redis.aclose()
