"""Money: integers of a millionth of a credit, quoted before a task and settled after it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from app.domain.strict_json import SpelledNumber

if TYPE_CHECKING:
    from app.domain.catalogue import Model

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
            f"{text[:32]!r} is not a credit amount: write a decimal like 12.5, at most six places"
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


LONGEST_PRICED_S: Final = 3600
"""Longest video a price is reckoned for; far beyond what any model makes."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """How many seconds a video can have, and the field that may name them ("" if none does)."""

    field: str
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """Amounts by the value of a field, or one amount under ""; each a call, or each a second."""

    amounts: Mapping[str | Decimal, Microcredits]
    field: str
    seconds: Seconds | None


def quote(model: Model, body: Mapping[str, Any]) -> Microcredits | None:
    """Return what is held for a create, or None where no price is known.

    What the body does not name, or names in a way the price list does not know, is held at its
    dearest: the largest amount, the most seconds. A hold is never too small for that reason.
    """
    tariff = model.tariff
    if tariff is None:
        return None
    amount = tariff.amounts.get(_key(body.get(tariff.field)), max(tariff.amounts.values()))
    if tariff.seconds is None:
        return amount
    seconds = _seconds_of(body.get(tariff.seconds.field), tariff.seconds)
    if seconds > LONGEST_PRICED_S:
        return None
    return _handled(math.ceil(amount * Fraction(seconds)))


def _seconds_of(named: Any, limits: Seconds) -> Decimal:
    """Return the seconds to hold for: -1, and all that is no length, leaves it to the model."""
    exact = Decimal(named.spelling) if isinstance(named, SpelledNumber) else Decimal(-1)
    return Decimal(limits.longest) if exact <= 0 else max(exact, Decimal(limits.shortest))


def _handled(amount: Microcredits) -> Microcredits | None:
    """Return an amount, or None where it is larger than any that is handled."""
    return amount if amount <= MAX_CREDITS * PER_CREDIT else None


def _key(value: Any) -> str | Decimal:
    """Return a value of a body as the price list writes it."""
    match value:
        case SpelledNumber():
            return Decimal(value.spelling)
        case bool():
            return str(value).lower()
        case str():
            return value
        case _:
            return ""
