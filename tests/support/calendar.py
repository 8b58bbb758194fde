"""Days and months of UTC for a clock that is held."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from app.clock import HeldClock

DAY_MS = 86_400_000


def today(clock: HeldClock) -> date:
    """Return the day of UTC that a clock shows."""
    return datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date()


def move_to_last_day_of_month(clock: HeldClock, *, before_end_s: int) -> None:
    """Move a clock forward to so many seconds before the end of a month.

    It is the present month, or the next one if that instant has passed.
    """
    day = today(clock)
    for _ in range(2):
        first_of_next = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = datetime(first_of_next.year, first_of_next.month, 1, tzinfo=UTC)
        ahead_ms = int(end.timestamp() * 1000) - before_end_s * 1000 - clock.now_ms()
        if ahead_ms >= 0:
            clock.advance_ms(ahead_ms)
            return
        day = first_of_next
    raise AssertionError("the end of a month is never further than the end of the next")
