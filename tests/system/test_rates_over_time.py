"""Rates hold while time passes: two processes with the store's own clock."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.support.fleet import Fleet

PATIENCE_S = 1.2


@pytest.mark.parametrize("per_second", [10, 60])
async def test_in_t_seconds_no_more_reads_pass_than_the_rate_allows(
    fleet: Fleet, per_second: int
) -> None:
    """N + N·t at most, and N less a share a process at least."""
    gateways = await fleet.start("a", "b", REELGATE_ROLE="api")
    customer = await fleet.customer(reads_per_second=per_second)
    counted: Counter[int] = Counter()

    began_s = time.monotonic()
    while time.monotonic() - began_s < PATIENCE_S:
        counted += await customer.read_many(*gateways, count=40)
    took_s = time.monotonic() - began_s

    share = max(1, per_second // 20)
    assert per_second - 2 * share <= counted[200] <= per_second * (1 + took_s)
    assert counted[429] > 0


async def test_in_t_seconds_no_more_creates_pass_than_the_rate_allows(fleet: Fleet) -> None:
    """N + N·t/60 at most, and N at least: creates are never taken in advance."""
    gateways = await fleet.start("a", "b", REELGATE_ROLE="api")
    customer = await fleet.customer(creates_per_minute=30)

    began_s = time.monotonic()
    while time.monotonic() - began_s < PATIENCE_S:
        await customer.create_many(*gateways, count=20)
    took_s = time.monotonic() - began_s

    passed = customer.counted()[200, ""]
    assert len(customer.answers) > 30
    assert 30 <= passed <= 30 + 0.5 * took_s
    assert passed == len(fleet.vendor.creates())
