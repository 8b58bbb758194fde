"""Money: integers of a millionth of a credit, quoted before a task and settled after it."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

Microcredits = int
"""A millionth of a credit; the vendor shows at most four decimals."""

PER_CREDIT: Final = 1_000_000
MAX_CREDITS: Final = 900_000_000
"""Largest amount handled: 15 digits of microcredits, exact in Lua's numbers and in JSON's."""

_LEAST: Final = Decimal("0.000001")
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def parse_credits(text: str) -> Microcredits:
    """Read a decimal credit amount such as `0.1`.

    Raises:
        ValueError: not a plain decimal with at most six places, or out of range.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} is not a credit amount: write a decimal such as 12.5, at most six places"
        )
    amount = int(Decimal(text) * PER_CREDIT)
    if amount > MAX_CREDITS * PER_CREDIT:
        raise ValueError(f"{text!r} is more than {MAX_CREDITS} credits")
    return amount


def format_credits(amount: Microcredits) -> str:
    """Write an amount as a plain decimal string without trailing zeros."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, rest = divmod(amount, PER_CREDIT)
    return f"{sign}{whole}" + (f".{rest:06d}".rstrip("0") if rest else "")


def vendor_credits(figure: object) -> Microcredits | None:
    """Read a credit figure out of the vendor's JSON, or None where there is none to be read.

    Rounded up to a microcredit: what is charged is never less than what the vendor shows.
    """
    if isinstance(figure, bool) or not isinstance(figure, int | float | str):
        return None
    try:
        amount = Decimal(str(figure))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= MAX_CREDITS:
        return None
    if 0 < amount < _LEAST:
        return 1  # also spares an exact fraction of a million digits
    return math.ceil(Fraction(amount) * PER_CREDIT)


def settlement(held: Microcredits, used: Microcredits | None) -> Microcredits:
    """Return what a completed task costs: the vendor's final figure if any, else the hold."""
    return held if used is None else used
