"""Time, as something to hand over: the process clock and the one that tests hold still."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the program may know of time. Instants are milliseconds since the epoch."""

    def now_ms(self) -> int:
        """Return the present instant in milliseconds since the epoch."""
        ...

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait `duration_ms`."""
        ...


class StoreClock:
    """The store's time, carried between samples by the monotonic clock.

    All processes on one store agree on the time to within a sample's round trip, whatever their
    hosts' clocks say. Until the first `sample` it runs on the host's clock.
    """

    def __init__(self) -> None:
        self._offset_ms = time.time() * 1000 - self._monotonic_ms()

    @staticmethod
    def _monotonic_ms() -> float:
        return time.monotonic() * 1000

    def now_ms(self) -> int:
        """Return the store's present instant."""
        return int(self._monotonic_ms() + self._offset_ms)

    def sample(self, store_ms: float, asked_ms: float) -> float:
        """Take over the store's time, read by a call that began at `asked_ms` (see `mark_ms`).

        Returns how far the clock was moved, in milliseconds. The reply is taken to have been
        written halfway through the round trip.
        """
        middle_ms = (asked_ms + self._monotonic_ms()) / 2
        moved_ms = store_ms - middle_ms - self._offset_ms
        self._offset_ms += moved_ms
        return moved_ms

    def mark_ms(self) -> float:
        """Return the monotonic instant to hand to `sample` as `asked_ms`."""
        return self._monotonic_ms()

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait `duration_ms` of real time."""
        await asyncio.sleep(duration_ms / 1000)


class HeldClock:
    """A clock that stands still until it is moved; waiting on it takes real time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the instant the clock is held at."""
        return self._now_ms

    def advance_ms(self, duration_ms: int) -> None:
        """Move the clock forward (or, with a negative number, back)."""
        self._now_ms += duration_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait `duration_ms` of real time; the held instant does not move."""
        await asyncio.sleep(duration_ms / 1000)
