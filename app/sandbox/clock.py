"""The time a sandbox lives in: the system's, shifted or standing still on request."""

from __future__ import annotations

import time
from collections.abc import Callable

NowMs = Callable[[], int]


def system_now_ms() -> int:
    """Milliseconds since the epoch, from the machine."""
    return time.time_ns() // 1_000_000


class SandboxClock:
    """A clock that can be put forward and held, so that a long task ends at once in a test."""

    def __init__(self, source: NowMs) -> None:
        self._source = source
        self._offset_ms = 0
        self._held_at_ms: int | None = None

    @property
    def held(self) -> bool:
        """Whether time stands still."""
        return self._held_at_ms is not None

    @property
    def offset_ms(self) -> int:
        """How far this clock is from its source; behind while and after it was held."""
        return self.now_ms() - self._source()

    def source_ms(self) -> int:
        """The time outside, which no request can move."""
        return self._source()

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as this sandbox sees them."""
        if self._held_at_ms is not None:
            return self._held_at_ms
        return self._source() + self._offset_ms

    def advance(self, advance_ms: int) -> None:
        """Put the clock forward; a held clock stays held, at the later time."""
        if self._held_at_ms is not None:
            self._held_at_ms += advance_ms
        else:
            self._offset_ms += advance_ms

    def hold(self) -> None:
        """Stop time until `release`."""
        self._held_at_ms = self.now_ms()

    def release(self) -> None:
        """Let time run on from where it was held, so that no moment is skipped."""
        if self._held_at_ms is not None:
            self._offset_ms = self._held_at_ms - self._source()
            self._held_at_ms = None

    def reset(self) -> None:
        """Run with the source again."""
        self._offset_ms = 0
        self._held_at_ms = None
