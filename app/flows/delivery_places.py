"""How much of a process deliveries may take, and how much of that receivers that fail."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

from app.domain.delivery import FIRST_WIDTH, next_width

FAILING_SHARE: Final = 0.25
"""Receivers that fail, and may hang, hold at most a quarter of the places."""

KEPT_SHARE: Final = 0.25
"""The last quarter is kept for tenants that hold fewer than `FIRST_WIDTH` places."""

TENANT_SHARE: Final = 0.5
"""The receivers of one tenant hold at most half of the places, together."""

_KNOWN_RECEIVERS: Final = 20_000
"""Receivers whose width a process remembers between two deliveries; a few megabytes."""


class DeliveryPlaces:
    """So many attempts at once in this process, of which nobody can take what others need.

    What hangs is known only when it has a place already. So places are scarcer the fewer are left:
    receivers hold more than one only while their tenant has fewer than half of what is free.
    """

    def __init__(self, count: int) -> None:
        self._count, self._most_failing = count, max(1, int(count * FAILING_SHARE))
        self._most_of_tenant = max(1, int(count * TENANT_SHARE))
        self._open = int(count * (1 - KEPT_SHARE))
        self._of: Counter[str] = Counter()
        self._failing_of: Counter[str] = Counter()
        self._at_work: Counter[str] = Counter()
        self._taken, self._taken_by_failing, self._all_at_work = 0, 0, 0

    @property
    def room(self) -> int:
        """How many more receivers may be worked on: each must be able to have a place."""
        return max(0, self._count - self._all_at_work)

    @property
    def room_for_failing(self) -> int:
        """How many places receivers that fail may still take."""
        return max(0, self._most_failing - self._taken_by_failing)

    def begin(self, tenant_id: str = "", count: int = 1) -> None:
        """Count receivers that are worked on; without a tenant, such as are about to be."""
        self._add(self._at_work, tenant_id, count)
        self._all_at_work += count

    def end(self, tenant_id: str = "", count: int = 1) -> None:
        """Count receivers no more; as they were counted."""
        self.begin(tenant_id, -count)

    def room_of(self, tenant_id: str, holds: int = 0, *, is_failing: bool) -> int:
        """Return how many places a receiver of a tenant may take besides those it holds."""
        first = 1 if holds == 0 and self._has_first(tenant_id) else 0
        if is_failing:
            return first if self._failing_of[tenant_id] < self.room_for_failing else 0
        mine, free = self._of[tenant_id], self._count - self._taken
        # The most for which, before the last of them, twice what the tenant has is less than free.
        wide = max(0, min((free - 2 * mine + 2) // 3, self._open - self._taken))
        share = (mine + wide) // max(1, self._at_work[tenant_id])
        return max(first, min(wide, share - holds))

    def take(self, tenant_id: str, wanted: int, holds: int, *, is_failing: bool) -> int:
        """Take up to `wanted` places for a receiver that holds some; returns how many."""
        count = max(0, min(wanted, self.room_of(tenant_id, holds, is_failing=is_failing)))
        self._move(tenant_id, count, is_failing=is_failing)
        return count

    def give_back(self, tenant_id: str, count: int, *, is_failing: bool) -> None:
        """Give places back; `is_failing` as when they were taken."""
        self._move(tenant_id, -count, is_failing=is_failing)

    def _has_first(self, tenant_id: str) -> bool:
        """Return whether a receiver of a tenant that holds no place may have one."""
        most = self._most_of_tenant if self._taken < self._open else FIRST_WIDTH
        return self._taken < self._count and self._of[tenant_id] < min(most, self._most_of_tenant)

    def _move(self, tenant_id: str, count: int, *, is_failing: bool) -> None:
        self._add(self._of, tenant_id, count)
        self._taken += count
        if is_failing:
            self._add(self._failing_of, tenant_id, count)
            self._taken_by_failing += count

    @staticmethod
    def _add(counts: Counter[str], tenant_id: str, count: int) -> None:
        """Change a count; a tenant of whom nothing is left is forgotten."""
        counts[tenant_id] += count
        if not counts[tenant_id]:
            del counts[tenant_id]


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
