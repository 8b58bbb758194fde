"""The life of a task: its states, the arrows between them, and what the public sees of each.

    queued ──▶ sending ──▶ submitted ──▶ watching ──▶ written_off
      │        │ │ │ │        └─────────────┴──▶ completed | failed
      ▼        │ │ │ └──▶ rejected
    cancelled  │ │ └────▶ queued
               │ └──────▶ in_doubt ──▶ submitted | rejected | written_off
               └────────▶ submitted

Operators may give up what is submitted or watched too (`rejected`, `written_off`), or have it
followed under another id of the vendor, which changes no state.

`sending` is stored before the first byte leaves. After a crash a task found `queued` was surely
never sent; one found `sending` is in doubt. Final states never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from app.domain.ids import Mode, family_of, parent_of
from app.domain.pricing import Microcredits


class TaskState(StrEnum):
    """Where a task stands, as operators see it."""

    QUEUED = "queued"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    SUBMITTED = "submitted"
    WATCHING = "watching"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    WRITTEN_OFF = "written_off"


PublicStatus = Literal["pending", "processing", "completed", "failed"]

_S = TaskState

_BY_OPERATORS: Final = (_S.REJECTED, _S.WRITTEN_OFF)
"""Ends of a task that is followed under a wrong id, or whose id the vendor has forgotten."""

ARROWS: Final[dict[TaskState, frozenset[TaskState]]] = {
    _S.QUEUED: frozenset({_S.SENDING, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.SUBMITTED, _S.REJECTED, _S.QUEUED, _S.IN_DOUBT}),
    _S.IN_DOUBT: frozenset({_S.SUBMITTED, _S.REJECTED, _S.WRITTEN_OFF}),
    _S.SUBMITTED: frozenset({_S.SUBMITTED, _S.WATCHING, _S.COMPLETED, _S.FAILED, *_BY_OPERATORS}),
    _S.WATCHING: frozenset({_S.WATCHING, _S.COMPLETED, _S.FAILED, *_BY_OPERATORS}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.WRITTEN_OFF: frozenset(),
}
"""Every allowed change. `app/store` refuses any other before a script runs."""

FINAL: Final = frozenset(state for state, targets in ARROWS.items() if not targets)


class ForbiddenArrow(Exception):
    """A change of state that the table does not hold: a defect, never a user's fault."""


def check_arrow(before: TaskState, after: TaskState) -> None:
    """Let an allowed change pass.

    Raises:
        ForbiddenArrow: the change is not in `ARROWS`.
    """
    if after not in ARROWS[before]:
        raise ForbiddenArrow(f"{before} -> {after}")


@dataclass(frozen=True, slots=True)
class Task:
    """One stored task, as scripts and flows need it.

    `version` rises with every change; a change names the version it was decided on, so two
    processes that saw the same task cannot both change it.
    """

    id: str
    tenant_id: str
    key_id: str
    mode: Mode
    model: str
    state: TaskState
    version: int
    created_ms: int
    held_microcredits: Microcredits
    body: bytes
    group: str = ""
    idempotency: str = ""
    vendor_id: str = ""
    vendor_key_id: str = ""
    submitted_ms: int = 0
    reads: int = 0
    doubt_ms: int = 0
    resends: int = 0
    tries: int = 0
    slot_freed: bool = False

    @property
    def holder_id(self) -> str:
        """The key it is sent for: a browser token's parent, which outlives the token."""
        return parent_of(self.key_id)

    @property
    def family(self) -> str:
        """The family of the key that made it; see `ids.family_of`."""
        return family_of(self.key_id)


@dataclass(frozen=True, slots=True)
class Running:
    """The vendor's word: not finished. `processing` tells work begun from waiting."""

    processing: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The vendor's word: over. `used` is its final credit figure where it gave one."""

    succeeded: bool
    used: Microcredits | None


Verdict = Running | Finished

_STARTED_WORDS: Final = frozenset({"processing", "running", "in_progress"})
_SUCCESS_WORDS: Final = frozenset({"completed", "succeeded", "success", "done"})
_FAILURE_WORDS: Final = frozenset({"failed", "error", "cancelled", "canceled"})


def judge(vendor_status: str, *, was_processing: bool, used: Microcredits | None) -> Verdict:
    """Read the vendor's status word; an unknown word keeps the task running as it was."""
    word = vendor_status.lower()
    if word in _SUCCESS_WORDS:
        return Finished(succeeded=True, used=used)
    if word in _FAILURE_WORDS:
        return Finished(succeeded=False, used=used)
    return Running(processing=was_processing or word in _STARTED_WORDS)
