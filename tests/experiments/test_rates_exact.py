"""Rates to the call: three processes, three loads, window after window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction

import pytest

from tests.store.shelf import Shelf
from tests.support.scale import scaled

WINDOWS = scaled(50, least=2)
TRIES = {True: 1_500, False: 400}
"""Calls of a trial that is not of full size, above the rate and not: a limit of 1,000 is passed."""

LIMITS = pytest.mark.parametrize("limit", [5, 100, 1_000])
LOADS = pytest.mark.parametrize("load", ["0.9", "1", "10"])

pytestmark = pytest.mark.timeout(60 + 20 * WINDOWS)


@dataclass(frozen=True)
class Load:
    """Calls that come evenly: `load` times as many as the limit gives in each window."""

    limit: int
    load: Fraction
    window_ms: int

    def calls(self) -> int:
        """Return how many are made in all."""
        most = round(self.limit * self.load * WINDOWS)
        return most if WINDOWS > 2 else min(most, TRIES[self.load > 1])

    def at_ms(self, number: int) -> int:
        """Return when a call is made, from the first one on."""
        return int(number * self.window_ms / (self.limit * self.load))

    def admitted(self, until_ms: int) -> Fraction:
        """Return how many pass by an instant: the burst, and what has come back since."""
        return self.limit + Fraction(self.limit * until_ms, self.window_ms)


async def passed(
    shelves: list[Shelf], load: Load, call: Callable[[Shelf], Awaitable[bool]]
) -> tuple[int, int]:
    """Make all calls, from one process after the other; returns how many passed, and until when."""
    began_ms = shelves[0].clock.now_ms()
    count = 0
    for number in range(load.calls()):
        clock = shelves[0].clock
        clock.advance_ms(began_ms + load.at_ms(number) - clock.now_ms())
        count += await call(shelves[number % len(shelves)])
    return count, load.at_ms(load.calls() - 1)


@LIMITS
@LOADS
async def test_creates_pass_exactly_as_the_rate_says(
    bare_shelf: Shelf, shelves: list[Shelf], limit: int, load: str
) -> None:
    """All below the rate; above it the burst and what comes back, to one call."""
    caller = await bare_shelf.caller(creates_per_minute=limit)
    planned = Load(limit, Fraction(load), 60_000)

    async def create(process: Shelf) -> bool:
        return await process.attempt(caller) == "admitted"

    count, until_ms = await passed(shelves, planned, create)

    expected = min(planned.calls(), planned.admitted(until_ms))
    assert abs(count - expected) <= 1


@LIMITS
@LOADS
async def test_reads_pass_as_the_rate_says_but_for_shares(
    bare_shelf: Shelf, shelves: list[Shelf], limit: int, load: str
) -> None:
    """Never more than the rate; less by no more than a share a process and window."""
    caller = await bare_shelf.caller(reads_per_second=limit)
    planned = Load(limit, Fraction(load), 1_000)

    async def read(process: Shelf) -> bool:
        permit = await process.meter.take_read(caller, now_ms=process.clock.now_ms())
        return permit.wait_ms is None

    count, until_ms = await passed(shelves, planned, read)

    expected = min(planned.calls(), planned.admitted(until_ms))
    share = max(1, limit // 20)
    unused = len(shelves) * share * (until_ms // 1_000 + 1)
    assert expected - unused - 1 <= count <= expected
