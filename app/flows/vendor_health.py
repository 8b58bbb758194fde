"""Doubts in a row tell of a vendor that is not itself; then queues wait, and one task tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_IN_A_ROW: Final = 3
_FIRST_PAUSE_MS: Final = 10_000
_LONGEST_PAUSE_MS: Final = 300_000


@dataclass(slots=True)
class VendorHealth:
    """What this process has lately heard of the vendor, and when a queued task may try it next.

    A vendor that answers every create with 500, or not at all, leaves each in doubt. What waits in
    a queue is better off waiting: a doubt may be charged in the end.
    """

    _doubts: int = 0
    _pause_ms: int = _FIRST_PAUSE_MS
    _next_try_ms: int = 0

    def heard(self) -> None:
        """The vendor said yes or no: it is well."""
        self._doubts, self._pause_ms = 0, _FIRST_PAUSE_MS

    def doubted(self) -> None:
        """What it said, if anything, was neither."""
        self._doubts += 1

    def may_try(self, now_ms: int) -> bool:
        """Return whether a queued task may be sent now; while the vendor is ill, one a pause."""
        return self._doubts < _IN_A_ROW or now_ms >= self._next_try_ms

    def tried(self, now_ms: int) -> None:
        """Note that one is being sent; after each that ends in doubt the next waits longer."""
        if self._doubts >= _IN_A_ROW:
            self._next_try_ms = now_ms + self._pause_ms
            self._pause_ms = min(2 * self._pause_ms, _LONGEST_PAUSE_MS)
