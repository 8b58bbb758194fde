"""What the vendor says was used up, beside what we settled meanwhile; pure.

A hint for operators and no more: the vendor charges in its own time, and others may use the keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.domain.pricing import PER_CREDIT, Microcredits

_NOTABLE_SHARE: Final = 0.1
_NOTABLE_LEAST: Final = PER_CREDIT
"""Smaller differences than a credit and a tenth are made by what is under way."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was used between two looks, as the vendor counts it and as we do."""

    since_ms: int
    until_ms: int
    vendor_microcredits: Microcredits
    settled_microcredits: Microcredits

    @property
    def is_notable(self) -> bool:
        """Whether an operator should look into it."""
        larger = max(self.vendor_microcredits, self.settled_microcredits)
        apart = abs(self.vendor_microcredits - self.settled_microcredits)
        return apart > max(_NOTABLE_LEAST, larger * _NOTABLE_SHARE)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: what each vendor key has used up in all, and what we settled in each month.

    Months are those of the tasks' admission; `tenants` are those for whom anything was settled in
    them, since one that is deleted later has spent it all the same.
    """

    at_ms: int
    used: Mapping[str, Microcredits] = field(default_factory=dict)
    settled: Mapping[str, Microcredits] = field(default_factory=dict)
    comparison: Comparison | None = None
    tenants: Sequence[str] = ()


def compare(last: Look, look: Look) -> Comparison | None:
    """Return what happened since the last look, or None where the two cannot be compared.

    They cannot when the keys are not the same ones, or when a key has used less than before. A
    month that has begun since counts from nothing; an older one that the last look left out does
    not count: nobody knows what it had settled then.
    """
    newest = max(last.settled, default="")
    if last.used.keys() != look.used.keys():
        return None
    if any(look.used[key] < last.used[key] for key in look.used):
        return None
    return Comparison(
        since_ms=last.at_ms,
        until_ms=look.at_ms,
        vendor_microcredits=sum(look.used.values()) - sum(last.used.values()),
        settled_microcredits=sum(
            amount - last.settled.get(month, 0)
            for month, amount in look.settled.items()
            if month in last.settled or month > newest
        ),
    )
