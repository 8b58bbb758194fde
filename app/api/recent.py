"""Answers to status reads, remembered for the minute in which the store may be away.

Only what the store itself has just told a caller enters, and only a caller whom the store has just
let read gets it back. So a minute is also how long a key that was ended in that time, unseen by
this process, may go on reading what it could read before.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from app.domain.tenant import Caller
from app.errors import GatewayError, InvalidKey, RateLimited, StoreForeign, TenantDisabled
from app.store.task_reads import TaskRead

LIFE_MS: Final = 60_000
"""How long an answer, and a caller's right to it, is remembered."""

MOST_BYTES: Final = 32 * 1024**2

_ENTRY_BYTES: Final = 700
"""What an answer costs beside its body: names, numbers and its place in the table."""

_KNOWN_CALLERS: Final = 20_000
_KNOWN_REFUSALS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer from memory, and how long ago the store gave it."""

    task: TaskRead
    age_s: int


@dataclass(slots=True)
class _Reader:
    """A caller the store has let read; `left` counts down within a second while it is away."""

    verified_ms: int
    quota: int | None
    second: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    owner: tuple[str, str]
    task: TaskRead
    read_ms: int

    @property
    def size_bytes(self) -> int:
        return _ENTRY_BYTES + len(self.task.body)


class RecentAnswers:
    """The least recently used answers make room for new ones."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._readers: OrderedDict[Caller, _Reader] = OrderedDict()
        self._refused_ms: OrderedDict[Caller | str, int] = OrderedDict()
        self.size_bytes = 0

    def keep(
        self, task_id: str, task: TaskRead, caller: Caller, quota: int | None, *, began_ms: int
    ) -> None:
        """Remember what the store has told a caller, in a read that began at `began_ms`.

        `quota` is how many reads a second the caller may make, None for any number. Nothing is
        kept of a caller who was refused since the read began.
        """
        if self._refused_ms and self._was_refused(caller, began_ms):
            return
        readers = self._readers
        known = readers.get(caller)
        if known is None:
            readers[caller] = _Reader(began_ms, quota)
            if len(readers) > _KNOWN_CALLERS:
                readers.popitem(last=False)
        else:
            known.verified_ms, known.quota = began_ms, quota
            readers.move_to_end(caller)
        before = self._answers.get(task_id)
        answer = _Answer((caller.tenant_id, caller.mode), task, began_ms)
        self._answers[task_id] = answer
        self.size_bytes += answer.size_bytes
        if before is not None:
            self.size_bytes -= before.size_bytes
            self._answers.move_to_end(task_id)
        while self.size_bytes > self._most_bytes:
            _, oldest = self._answers.popitem(last=False)
            self.size_bytes -= oldest.size_bytes

    def find(self, task_id: str, caller: Caller, *, now_ms: int) -> Remembered | None:
        """Return what the store told this caller's tenant in the last minute, if it did.

        A clock that was set back makes an answer unusable, not young.

        Raises:
            RateLimited: the caller has read as often in this second as it may.
        """
        answer, reader = self._answers.get(task_id), self._readers.get(caller)
        if answer is None or reader is None or answer.owner != (caller.tenant_id, caller.mode):
            return None
        if caller.subject and caller.subject != answer.task.subject:
            return None
        if self._was_refused(caller, reader.verified_ms):
            return None
        ages_ms = (now_ms - answer.read_ms, now_ms - reader.verified_ms)
        if min(ages_ms) < 0 or max(ages_ms) > LIFE_MS:
            return None
        self._count(reader, now_ms)
        return Remembered(answer.task, ages_ms[0] // 1000)

    def heed(self, refusal: GatewayError, caller: Caller | None, *, now_ms: int) -> None:
        """Forget what a refusal that the store has just given takes the ground from."""
        if isinstance(refusal, StoreForeign):
            self._answers.clear()
            self._readers.clear()
            self.size_bytes = 0
        elif caller is None:
            return
        elif isinstance(refusal, TenantDisabled):
            self._note(caller.tenant_id, now_ms)
        elif isinstance(refusal, InvalidKey):
            self._note(caller, now_ms)

    @staticmethod
    def _count(reader: _Reader, now_ms: int) -> None:
        """Hold a caller to its limit, by itself in each process while nothing can be shared."""
        if reader.quota is None:
            return
        second = now_ms // 1000
        if reader.second != second:
            reader.second, reader.left = second, reader.quota
        if reader.left < 1:
            raise RateLimited(retry_after_s=1)
        reader.left -= 1

    def _note(self, refused: Caller | str, now_ms: int) -> None:
        self._refused_ms[refused] = now_ms
        self._refused_ms.move_to_end(refused)
        if len(self._refused_ms) > _KNOWN_REFUSALS:
            self._refused_ms.popitem(last=False)

    def _was_refused(self, caller: Caller, began_ms: int) -> bool:
        """Say whether a refusal of the caller, or of its whole tenant, is younger than a read."""
        refused_ms = self._refused_ms
        latest_ms = max(refused_ms.get(caller, -1), refused_ms.get(caller.tenant_id, -1))
        return latest_ms >= began_ms
