"""The vendor's final figure stands in one of two places, and at times in neither."""

from __future__ import annotations

from typing import Any

import pytest

from app.flows.poll import used_credits

COST = {"credits": 0.05}


@pytest.fixture(autouse=True)
def audited() -> None:
    """Audit nothing: nothing happens here."""


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        ({"credits_used": 0.07}, 70_000),
        ({"cost": COST}, 50_000),
        ({"credits_used": 0.07, "cost": COST}, 70_000),
        ({"credits_used": None, "cost": COST}, 50_000),
        ({"credits_used": "spoilt", "cost": COST}, 50_000),
        ({"credits_used": -1, "cost": COST}, 50_000),
        ({"credits_used": 0, "cost": COST}, 0),
        ({"credits_used": None, "cost": None}, None),
        ({"credits_used": None}, None),
        ({"cost": []}, None),
        ({}, None),
        (None, None),
    ],
    ids=str,
)
def test_the_first_figure_that_can_be_read_counts(usage: Any, used: int | None) -> None:
    """A null in one place does not hide what stands in the other."""
    assert used_credits({"usage": usage}) == used
