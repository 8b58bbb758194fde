"""Sends in numbers: every ambiguous answer is a doubt that keeps its hold, and no send follows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import OpenBed
from tests.flows.watching import task_in
from tests.support.auditor import read_books
from tests.support.scale import scaled
from tests.support.vendor import Vendor

PRICE = 100_000
HOUR_S = 3_600.0
TRIALS = scaled(500)

AMBIGUOUS: list[tuple[str, dict[str, Any]]] = [
    ("commit_then_hang", {}),
    ("commit_then_reset", {}),
    ("commit_then_status", {"status": 500}),
    ("commit_then_status", {"status": 502}),
    ("malformed", {}),
    ("truncated", {}),
    ("missing_id", {}),
    ("redirect", {}),
    ("slow_drip", {"interval_ms": 100}),
]


@pytest.mark.parametrize(("mode", "params"), AMBIGUOUS)
async def test_every_ambiguous_answer_is_a_doubt_that_keeps_its_hold(
    open_gateway_bed: OpenBed, vendor: Vendor, redis_url: str, mode: str, params: dict[str, Any]
) -> None:
    """Of many at once none is sent again, none is released, and all say `pending`."""
    deadline_s = 0.5 if mode in ("commit_then_hang", "slow_drip") else 10
    async with open_gateway_bed(vendor={"submit_timeout_s": deadline_s}) as bed:
        key = await bed.key()
        vendor.fault(mode, **params)

        answers = await asyncio.gather(*(bed.create(key) for _ in range(TRIALS)))
        vendor.heal()
        await bed.pass_time(HOUR_S)

    books = read_books(redis_url)
    assert {answer.json()["status"] for answer in answers} == {"pending"}
    assert {task_in(answer) for answer in answers} == books.tasks.keys()
    assert books.states() == {"in_doubt": TRIALS}
    assert list(books.ledgers.values()) == [[("hold", PRICE)]] * TRIALS
    assert len(vendor.creates()) == TRIALS
