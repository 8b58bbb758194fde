"""Which day and month an instant counts in, reckoned anew from the rules of the calendar."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from app.store.keys import windows

DAY_MS = 86_400_000
INSTANTS = 10_000
EDGES_MS = (-1, 0, 1, 3_600_000 - 1, 3_600_000, 2 * 3_600_000)
"""Around midnight, and at the hours in which clocks are put forward and back."""


def is_leap(year: int) -> bool:
    """Say whether a year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def date_of(days: int) -> tuple[int, int, int]:
    """Return the date that lies so many days after 1 January 1970, counted off year by year."""
    year, month = 1970, 1
    while days >= 365 + is_leap(year):
        days -= 365 + is_leap(year)
        year += 1
    lengths = [31, 28 + is_leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while days >= lengths[month - 1]:
        days -= lengths[month - 1]
        month += 1
    return year, month, days + 1


def instants(seed: int) -> list[int]:
    """Return instants of a hundred years, half of them where something may go wrong."""
    lots = random.Random(seed)
    anywhere = [lots.randrange(100 * 365 * DAY_MS) for _ in range(INSTANTS // 2)]
    midnights = [lots.randrange(1, 100 * 365) * DAY_MS for _ in range(INSTANTS // 2)]
    return anywhere + [midnight + lots.choice(EDGES_MS) for midnight in midnights]


def names_of(at_ms: int) -> tuple[str, str]:
    """Return the day and month of an instant as they should be called."""
    year, month, day = date_of(at_ms // DAY_MS)
    return f"{year:04}{month:02}{day:02}", f"{year:04}{month:02}"


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_every_instant_counts_in_its_utc_day_and_month(zone: str) -> None:
    """Ends of months, leap days and the hours of summer time included, wherever the machine is."""
    wrong = [at_ms for at_ms in instants(len(zone)) if windows(at_ms) != names_of(at_ms)]

    assert wrong == []
