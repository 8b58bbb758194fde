"""How much of a process deliveries may take, and how much of that receivers that fail."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from app.domain.delivery import FIRST_WIDTH, next_width

FAILING_SHARE: Final = 0.25
"""Receivers that fail, and may hang, hold at most a quarter of the places."""

_KNOWN_RECEIVERS: Final = 20_000
"""Receivers whose width a process remembers between two deliveries; a few megabytes."""


class DeliveryPlaces:
    """So many attempts at once in this process, shared evenly by the receivers at work."""

    def __init__(self, count: int) -> None:
        self._count, self._most_failing = count, max(1, int(count * FAILING_SHARE))
        self._taken, self._taken_by_failing = 0, 0
        self._at_work = 0

    @property
    def room(self) -> int:
        """How many more receivers may be worked on: each must be able to have a place."""
        return self._count - self._at_work

    @property
    def room_for_failing(self) -> int:
        """How many places receivers that fail may still take."""
        return max(0, self._most_failing - self._taken_by_failing)

    def begin(self) -> None:
        """Count one more receiver that is worked on."""
        self._at_work += 1

    def end(self) -> None:
        """Count one receiver less."""
        self._at_work -= 1

    def take(self, wanted: int, holds: int, *, is_failing: bool) -> int:
        """Take up to `wanted` places for a receiver that holds some; returns how many.

        Nobody holds more than an even share while others are at work, so that whoever comes next
        waits for one attempt to end, not for a backlog.
        """
        share = max(1, self._count // max(1, self._at_work))
        free = self._count - self._taken
        if is_failing:
            free = min(free, self.room_for_failing)
        count = max(0, min(wanted, share - holds, free))
        self._taken += count
        self._taken_by_failing += count if is_failing else 0
        return count

    def give_back(self, count: int, *, is_failing: bool) -> None:
        """Give places back; `is_failing` as when they were taken."""
        self._taken -= count
        self._taken_by_failing -= count if is_failing else 0


class Widths:
    """How many attempts each receiver may have under way, by what its last ones met with."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, int] = OrderedDict()

    def of(self, member: str, *, is_failing: bool) -> int:
        """Return a receiver's width; one that is new here begins at 1 where others saw it fail."""
        width = self._known.pop(member, 1 if is_failing else FIRST_WIDTH)
        self._keep(member, width)
        return width

    def fails(self, member: str, *, is_failing: bool = False) -> bool:
        """Return whether its last attempt here failed; of one that is new, what others saw."""
        return self._known.get(member, 1 if is_failing else FIRST_WIDTH) == 1

    def note(self, member: str, *, delivered: bool) -> None:
        """Take in what came of an attempt."""
        width = self._known.pop(member, FIRST_WIDTH)
        self._keep(member, next_width(width, delivered=delivered))

    def _keep(self, member: str, width: int) -> None:
        """Remember a width; the receiver of whom was heard least lately is forgotten for it."""
        self._known[member] = width
        if len(self._known) > _KNOWN_RECEIVERS:
            self._known.popitem(last=False)
