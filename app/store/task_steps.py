"""What changes of a task need to know, and what they tell."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.audit import Act
from app.domain.pricing import Microcredits
from app.domain.rates import Rates
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller


@dataclass(frozen=True, slots=True)
class NewTask:
    """All that `admit` needs to know of a task that does not exist yet.

    `callback` is the receiver and the address that its end is told to, "" for none.
    """

    id: str
    caller: Caller
    model: str
    vendor_key_id: str
    held_microcredits: Microcredits
    price_is_known: bool
    recover_ms: int
    body_around_group: tuple[bytes, bytes]
    queued_body_around_group: tuple[bytes, bytes]
    request_body: str
    idempotency: str
    fingerprint: str
    callback: str = ""

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
            vendor_key_id=self.vendor_key_id,
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """The task is recorded as being sent; nobody else will send it."""

    task: Task
    rates: Rates


@dataclass(frozen=True, slots=True)
class Queued:
    """The task is recorded as waiting; an engine sends it when its turn comes.

    `position` is its place in its tenant's queue, from 1; `body` is what it shows, without that.
    """

    task_id: str
    body: bytes
    position: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Replayed:
    """The Idempotency-Key was used before with an equal body; this was its answer.

    `rates` is None where the answer was put together without the caller's limits being looked at.
    """

    task_id: str
    answer: bytes
    rates: Rates | None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the vendor's yes changes in a task; `act` where an operator gives it in its place."""

    vendor_id: str
    vendor_key_id: str
    held_microcredits: Microcredits
    body: bytes
    poll_at_ms: int
    act: Act | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to the create, b"" where nobody was promised one.

    `too_late`: the task had been given up, so that nothing was changed.
    """

    answer: bytes
    too_late: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One decided step of a task. `due_ms` is the next read, or the beginning of the doubt.

    `cancelled` tells a failed task that was called off from one that went wrong. `why` is for
    operators; `act` is the entry of an operator who decided it.
    """

    state: TaskState
    body: bytes
    charged_microcredits: Microcredits = 0
    due_ms: int = 0
    cancelled: bool = False
    why: str = ""
    act: Act | None = None

    @property
    def outcome(self) -> str:
        """How the task ended, for lists and figures: `completed`, `failed` or `cancelled`."""
        if self.state is TaskState.COMPLETED:
            return "completed"
        return "cancelled" if self.cancelled or self.state is TaskState.CANCELLED else "failed"
