"""When to ask again: pure functions of time; jitter is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_AGE_SHARE: Final = 0.1
"""Past its expected end a task is read about ten times while its overtime doubles."""

_REST_SHARE: Final = 0.5
"""Before it, each read halves the expected rest: sparse early, dense near the end."""

_JITTER_SHARE: Final = 0.1
"""Reads are spread by up to a tenth of the interval, so that tasks made together drift apart."""

_TOLD_PROGRESS: Final = 5
"""Least progress, in percent, from which a duration is reckoned; less says too little."""

_DEADLINE_TIMES: Final = 5
"""A task that takes five times as long as was estimated has met no deadline of its own."""


@dataclass(frozen=True, slots=True)
class PollPace:
    """The bounds an operator set, in milliseconds."""

    first_delay_ms: int
    min_interval_ms: int
    max_interval_ms: int
    deadline_ms: int
    watch_interval_ms: int
    give_up_ms: int


@dataclass(frozen=True, slots=True)
class PollView:
    """What is known of a running task: when the vendor took it, its estimate, its progress."""

    submitted_ms: int
    estimated_ms: int
    progress: int
    watched: bool = False


def first_poll_ms(now_ms: int, pace: PollPace) -> int:
    """Return when a task accepted at `now_ms` is read for the first time."""
    return now_ms + pace.first_delay_ms


def next_poll_ms(now_ms: int, view: PollView, pace: PollPace, jitter: float) -> int:
    """Return when to read a running task again; `jitter` in [0, 1).

    Half of what is expected to be left of it, a tenth of its overtime afterwards, within bounds;
    slowly and evenly once it is only watched, and for the last time when it is to be given up.
    """
    if view.watched:
        left_ms = view.submitted_ms + pace.give_up_ms - now_ms
        interval_ms = min(pace.watch_interval_ms, max(left_ms, pace.min_interval_ms))
    else:
        age_ms = max(0, now_ms - view.submitted_ms)
        rest_ms = _expected_ms(age_ms, view) - age_ms
        wished_ms = rest_ms * _REST_SHARE if rest_ms > 0 else age_ms * _AGE_SHARE
        interval_ms = int(min(max(wished_ms, pace.min_interval_ms), pace.max_interval_ms))
    return now_ms + interval_ms + int(interval_ms * _JITTER_SHARE * jitter)


def _expected_ms(age_ms: int, view: PollView) -> float:
    """Return how long a task is expected to take in all: by its progress, else by its estimate."""
    if view.progress >= _TOLD_PROGRESS:
        return age_ms * 100 / view.progress
    return view.estimated_ms


def is_overdue(now_ms: int, view: PollView, pace: PollPace) -> bool:
    """Return whether a task has passed our own deadline, from which on it is only watched."""
    limit_ms = max(pace.deadline_ms, _DEADLINE_TIMES * view.estimated_ms)
    return now_ms - view.submitted_ms >= limit_ms


def is_given_up(now_ms: int, view: PollView, pace: PollPace) -> bool:
    """Return whether a task has been watched for so long that nothing is to be expected of it."""
    return view.watched and now_ms - view.submitted_ms >= pace.give_up_ms


def retry_send_ms(attempt: int, jitter: float) -> int:
    """Return the wait before send attempt `attempt` + 1 of a call that surely was not sent.

    Full jitter over 100 ms, 200 ms, 400 ms and so on, at least 20 ms.
    """
    return 20 + int(100 * 2 ** (attempt - 1) * jitter)
