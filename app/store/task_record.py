"""A task's hash in Redis, read back, and the entry that outlives it until it is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import structlog

from app.domain.ids import Mode
from app.domain.task import Task, TaskState

log = structlog.get_logger(__name__)


def read_record(fields: dict[bytes, bytes]) -> Task | None:
    """Return the task that a hash holds, or None, with a log entry, where it cannot be read."""
    try:
        return _task_of(fields)
    except (KeyError, ValueError) as failure:
        task_id = fields.get(b"id", b"?").decode("utf-8", "replace")
        log.error("task.unreadable", task_id=task_id, why=repr(failure))  # noqa: TRY400 - no defect
        return None


def _task_of(fields: dict[bytes, bytes]) -> Task:
    def text(name: bytes) -> str:
        return fields.get(name, b"").decode()

    state = TaskState(text(b"state"))
    # A doubt that an earlier version left has no instant of its own: it is as old as its task.
    since = fields[b"created_ms"] if state is TaskState.IN_DOUBT else b"0"
    return Task(
        id=text(b"id"),
        tenant_id=text(b"tenant"),
        key_id=text(b"key"),
        mode="test" if fields[b"mode"] == b"test" else "live",
        model=text(b"model"),
        state=state,
        version=int(fields[b"version"]),
        created_ms=int(fields[b"created_ms"]),
        held_microcredits=int(fields[b"held"]),
        body=fields[b"body"],
        group=text(b"group"),
        idempotency=text(b"idem"),
        vendor_id=text(b"vendor_id"),
        vendor_key_id=text(b"vendor_key"),
        submitted_ms=int(fields.get(b"submitted_ms", b"0")),
        reads=int(fields.get(b"reads", b"0")),
        doubt_ms=int(fields.get(b"doubt_ms", since)),
        resends=int(fields.get(b"resends", b"0")),
        tries=int(fields.get(b"tries", b"0")),
        slot_freed=fields.get(b"slot_freed") == b"1",
    )


@dataclass(frozen=True, slots=True)
class QueueName:
    """Whose queue it is."""

    tenant_id: str
    mode: Mode

    @classmethod
    def read(cls, member: str) -> Self:
        """Read the stored form back."""
        tenant_id, mode = member.split(" ")
        return cls(tenant_id, "test" if mode == "test" else "live")

    def member(self) -> str:
        """Return the stored form."""
        return f"{self.tenant_id} {self.mode}"


@dataclass(frozen=True, slots=True)
class Retiring:
    """A finished task on its way out; the entry names all its places, as its record may be gone."""

    task_id: str
    tenant_id: str
    mode: str
    model: str

    @classmethod
    def of(cls, task: Task) -> Self:
        """Return the entry of a task."""
        return cls(task.id, task.tenant_id, task.mode, task.model)

    @classmethod
    def read(cls, member: str) -> Self:
        """Read the stored form back; only the model's name may hold a blank."""
        return cls(*member.split(" ", 3))

    def member(self) -> str:
        """Return the stored form."""
        return f"{self.task_id} {self.tenant_id} {self.mode} {self.model}"
