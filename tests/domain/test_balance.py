"""The vendor's count beside ours: when they can be compared, and when somebody should look."""

from __future__ import annotations

import pytest

from app.domain.balance import Comparison, Look, compare

FIRST = Look(1_000, {"vk_1": 5_000_000, "vk_2": 0}, {"202610": 7, "202611": 4_000_000})


def test_keys_and_months_are_summed():
    """A month that has begun since counts from nothing."""
    now = Look(2_000, {"vk_1": 6_000_000, "vk_2": 500}, {"202611": 4_900_000, "202612": 90_000})

    assert compare(FIRST, now) == Comparison(1_000, 2_000, 1_000_500, 990_000)


def test_an_old_month_that_was_not_looked_at_before_does_not_count():
    """All of it would be taken for one day's; one that the looks share counts, however old."""
    used = {"vk_1": 5_000_000, "vk_2": 0}
    now = Look(2_000, used, {"202609": 50_000_000, "202610": 9, "202611": 4_000_000, "202701": 5})

    assert compare(FIRST, now) == Comparison(1_000, 2_000, 0, 7)


@pytest.mark.parametrize(
    "used",
    [
        {"vk_1": 5_000_000},
        {"vk_1": 5_000_000, "vk_3": 0},
        {"vk_1": 5_000_000, "vk_2": 0, "vk_3": 0},
        {"vk_1": 4_999_999, "vk_2": 10},
        {},
    ],
)
def test_other_keys_or_a_count_that_fell_cannot_be_compared(used):
    """A new key brings what it had used before; a smaller count was begun anew."""
    assert compare(FIRST, Look(2_000, used, {})) is None


@pytest.mark.parametrize(
    ("vendor", "settled", "notable"),
    [
        (0, 0, False),
        (1_000_000, 0, False),
        (1_000_001, 0, True),
        (0, 1_000_001, True),
        (100_000_000, 90_000_000, False),
        (100_000_000, 89_999_999, True),
        (89_999_999, 100_000_000, True),
    ],
)
def test_more_than_a_credit_and_a_tenth_is_notable(vendor, settled, notable):
    """Both, in either direction: tasks that are under way make smaller differences."""
    assert Comparison(0, 1, vendor, settled).is_notable is notable
