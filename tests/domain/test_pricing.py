"""Money: every amount is a whole number of microcredits, and none is lost on the way."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.pricing import (
    MAX_CREDITS,
    PER_CREDIT,
    format_credits,
    parse_credits,
    settlement,
    vendor_credits,
)
from tests.support.properties import checked, large_numbers

amounts = st.integers(0, MAX_CREDITS * PER_CREDIT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0.1", 100_000),
        ("0.000001", 1),
        ("12.5", 12_500_000),
        ("12.500000", 12_500_000),
        ("007", 7_000_000),
        ("0.3", 300_000),
        ("4.35", 4_350_000),
        ("1095.3996", 1_095_399_600),
        ("900000000", 900_000_000_000_000),
        ("899999999.999999", 899_999_999_999_999),
    ],
)
def test_an_amount_is_read_exactly(text, expected):
    """No binary fraction stands between the text and the number."""
    assert parse_credits(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "-1",
        "-0",
        "1.",
        ".5",
        "1e3",
        "1,5",
        "1_000",
        "0x10",
        "0.0000001",
        "900000000.000001",
        "900000001",
        "1000000000",
        "99999999999",
        "9" * 5000,
        "NaN",
        "Infinity",
        "unlimited",
        "\u0661",
        "\uff11",
        "½",
    ],
)
def test_what_is_not_an_amount_is_refused(text):
    """The message says how one is written, or which is the largest."""
    with pytest.raises(ValueError, match="credit"):
        parse_credits(text)


@checked
@given(amount=amounts)
@example(amount=MAX_CREDITS * PER_CREDIT)
@example(amount=MAX_CREDITS * PER_CREDIT - 1)
def test_an_amount_survives_being_written(amount):
    """Every microcredit up to the largest amount, as a plain decimal without trailing zeros."""
    text = format_credits(amount)

    assert parse_credits(text) == amount
    assert re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", text)


@checked
@given(amount=amounts.filter(bool))
def test_a_debt_is_written_with_a_sign(amount):
    """What was overspent is shown as such."""
    assert format_credits(-amount) == "-" + format_credits(amount)


@checked
@given(whole=st.integers(0, MAX_CREDITS - 1), rest=st.text("0123456789", min_size=1, max_size=6))
def test_reading_is_exact_arithmetic(whole, rest):
    """The amount is a million times the decimal number, with nothing rounded."""
    text = f"{whole}.{rest}"

    assert parse_credits(text) == Fraction(text) * PER_CREDIT


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (0, 0),
        (0.0, 0),
        (-0.0, 0),
        (0.1, 100_000),
        (7, 7_000_000),
        (13.5, 13_500_000),
        (25.7, 25_700_000),
        ("0.1", 100_000),
        ("1e2", 100_000_000),
        (0.0000001, 1),
        (0.1000001, 100_001),
        (1e-300, 1),
        ("0.1000000000000000000000000000001", 100_001),
        ("0." + "0" * 400 + "1", 1),
        (MAX_CREDITS, MAX_CREDITS * PER_CREDIT),
    ],
)
def test_a_figure_of_the_vendor_is_rounded_up(figure, expected):
    """What is charged is never less than what the vendor shows, and by less than a microcredit."""
    assert vendor_credits(figure) == expected


@pytest.mark.parametrize(
    "figure",
    [
        None,
        True,
        False,
        "",
        "free",
        "0x10",
        "1,5",
        "NaN",
        "sNaN",
        "-Infinity",
        "1e999999999",
        "1e99999999999999999999",
        -1,
        -0.0001,
        "-0.1",
        float("nan"),
        float("inf"),
        float("-inf"),
        1e300,
        10**4000,
        MAX_CREDITS + 1,
        900_000_000.000001,
        [],
        [1],
        {},
        {"credits": 1},
        b"1",
    ],
    ids=lambda figure: repr(figure)[:30],
)
def test_what_is_no_figure_is_none(figure):
    """Anything else the vendor may send is ignored, never guessed at and never an error."""
    assert vendor_credits(figure) is None


@checked
@given(
    figure=st.integers(0, MAX_CREDITS)
    | st.floats(0, MAX_CREDITS, allow_subnormal=True)
    | st.decimals(0, MAX_CREDITS, places=9).map(str)
    | large_numbers(60).map("0.{}".format)
)
def test_rounding_up_is_exact(figure):
    """A million times the figure as the vendor wrote it, and the next whole number above."""
    assert vendor_credits(figure) == math.ceil(Fraction(str(figure)) * PER_CREDIT)


@pytest.mark.parametrize(
    ("held", "used", "expected"),
    [(100, None, 100), (100, 0, 0), (100, 50, 50), (100, 250, 250), (0, 7, 7), (0, None, 0)],
)
def test_a_finished_task_costs_what_the_vendor_says(held, used, expected):
    """More than was held too; the hold stands where the vendor says nothing."""
    assert settlement(held, used) == expected
