"""What is done about a task of which nobody knows whether the vendor has it; pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from app.domain.task import Task

FIRST_LOOK_MS: Final = 5_000
"""Wait before the first look: the vendor's answer is lost, its work may just have begun."""

RESENDS_MS: Final = (5_000, 35_000, 155_000)
"""When a send is repeated after its doubt began, where the vendor keeps its idempotency keys."""

LOOK_AGAIN_MS: Final = 5_000
EVEN_LOOKS: Final = 4
LONGEST_LOOK_AGAIN_MS: Final = 3_600_000
"""The vendor is asked about what notices of a doubt named once in the first time at most. After so
many looks that told nothing the wait doubles each time, up to the second: eight looks in two
minutes, some thirty in a day."""

LEAST_SLOT_MS: Final = 600_000
_SLOT_TIMES: Final = 3
"""A doubtful task keeps its slot for three times as long as it would take, ten minutes at least."""

_LEAST_WAIT_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class DoubtTerms:
    """What an operator set: may a send be repeated, and after how long is the doubt given up."""

    trust_idempotency: bool
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class DoubtStep:
    """What is to be done now, and when to look again."""

    resend: bool
    free_slot: bool
    write_off: bool
    next_ms: int


def next_step(task: Task, terms: DoubtTerms, *, estimated_s: int, now_ms: int) -> DoubtStep:
    """Return what is due for a task in doubt.

    A resend is due at each of `RESENDS_MS` that has not been used, and after one that was late the
    next keeps its distance; the slot is freed after its time; at the deadline the doubt is written
    off, and nothing else is done any more.
    """
    age_ms = now_ms - task.doubt_ms
    slot_ms = max(LEAST_SLOT_MS, _SLOT_TIMES * estimated_s * 1000)
    left = RESENDS_MS[task.resends :] if terms.trust_idempotency else ()
    write_off = age_ms >= terms.deadline_ms
    resend = bool(left) and age_ms >= left[0] and not write_off
    free_slot = not task.slot_freed and age_ms >= slot_ms and not write_off
    later = [terms.deadline_ms]
    if resend:
        later += [age_ms + after - before for before, after in pairwise(left[:2])]
    else:
        later += left[:1]
    if not task.slot_freed and not free_slot:
        later.append(slot_ms)
    return DoubtStep(
        resend=resend,
        free_slot=free_slot,
        write_off=write_off,
        next_ms=max(task.doubt_ms + min(later), now_ms + _LEAST_WAIT_MS),
    )
