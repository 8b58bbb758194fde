"""When tests take place: at the present, but not shortly before the figures of a new day begin."""

from __future__ import annotations

from typing import Final

from app.clock import StoreClock

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
EVENING_MS: Final = 18 * HOUR_MS
MORNING_MS: Final = 6 * HOUR_MS


def daytime_ms() -> int:
    """Return the present, or the next morning (UTC) where it is evening.

    Redis counts expiries by its own clock, so a test may be ahead of it and never behind. What a
    test does within some hours belongs to one day, whenever it is run.
    """
    now_ms = StoreClock().now_ms()
    day_ms = now_ms - now_ms % DAY_MS
    return now_ms if now_ms - day_ms < EVENING_MS else day_ms + DAY_MS + MORNING_MS
