"""When to ask again: pure functions of time; jitter is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_AGE_SHARE: Final = 0.1
"""A task is read about ten times while its age doubles: old tasks are asked about less often."""

_JITTER_SHARE: Final = 0.1
"""Reads are spread by up to a tenth of the interval, so that tasks made together drift apart."""


@dataclass(frozen=True, slots=True)
class PollPace:
    """The bounds an operator set, in milliseconds."""

    first_delay_ms: int
    min_interval_ms: int
    max_interval_ms: int


def first_poll_ms(now_ms: int, pace: PollPace) -> int:
    """Return when a task accepted at `now_ms` is read for the first time."""
    return now_ms + pace.first_delay_ms


def next_poll_ms(now_ms: int, submitted_ms: int, pace: PollPace, jitter: float) -> int:
    """Return when to read again: a tenth of the task's age, within bounds; `jitter` in [0, 1)."""
    wished_ms = int((now_ms - submitted_ms) * _AGE_SHARE)
    interval_ms = min(max(wished_ms, pace.min_interval_ms), pace.max_interval_ms)
    return now_ms + interval_ms + int(interval_ms * _JITTER_SHARE * jitter)


def retry_send_ms(attempt: int, jitter: float) -> int:
    """Return the wait before send attempt `attempt` + 1 of a call that surely was not sent.

    Full jitter over 100 ms, 200 ms, 400 ms and so on, at least 20 ms.
    """
    return 20 + int(100 * 2 ** (attempt - 1) * jitter)
