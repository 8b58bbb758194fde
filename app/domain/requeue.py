"""How a task that was surely not created waits for its next try: pure; jitter is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_TRIES: Final = 20
"""Tries of a task in a queue whose vendor is away: with the waits below, more than two hours."""

MOST_TRIES_FORBIDDEN: Final = 3
"""Tries where the vendor forbids it: that may be about this request alone, and others wait."""

_FIRST_WAIT_MS: Final = 5_000
_LONGEST_WAIT_MS: Final = 600_000
_DOUBLINGS: Final = 7


@dataclass(frozen=True, slots=True)
class Requeue:
    """A task goes back into its queue, which rests for `wait_ms`.

    `yields`: to the end of it, since what was refused may be this request alone.
    """

    wait_ms: int
    yields: bool


def requeued(
    tries: int, *, forbidden: bool, retry_after_s: int | None, jitter: float
) -> Requeue | None:
    """Return how a task waits that was tried `tries` times before, None where it has had its tries.

    The wait doubles from 5 s to 10 min, is never shorter than the vendor asks for, and is spread by
    up to 5 s; `jitter` in [0, 1). Where the vendor forbids the request the others go on after 5 s.
    """
    if tries + 1 >= (MOST_TRIES_FORBIDDEN if forbidden else MOST_TRIES):
        return None
    doublings = 0 if forbidden else min(tries, _DOUBLINGS)
    wait_ms = min(_FIRST_WAIT_MS * 2**doublings, _LONGEST_WAIT_MS)
    wait_ms = max(wait_ms, (retry_after_s or 0) * 1000)
    return Requeue(wait_ms + int(_FIRST_WAIT_MS * jitter), yields=forbidden)
