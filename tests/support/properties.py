"""What properties are drawn from: JSON of every kind, and JSON texts that mean the same."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

checked = settings(max_examples=50, deadline=None)
"""How a property is checked: often enough to find, seldom enough to run always."""

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
"""Short strings without lone surrogates, control characters and all planes included."""


def json_values(texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[Any]:
    """Return a strategy for whatever a JSON answer may hold; its strings and names are `texts`."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=6,
    )


def large_numbers(most_digits: int) -> st.SearchStrategy[Fraction]:
    """Return a strategy for whole numbers of any length alike; `st.integers` prefers short ones."""
    return st.builds(
        lambda digits, seed: Fraction(random.Random(seed).randrange(10**digits)),
        st.integers(1, most_digits),
        st.integers(0, 2**32),
    )


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number by its exact value; unlike Python's, it equals no truth value."""

    value: Fraction


def documents(
    numbers: st.SearchStrategy[Fraction], texts: st.SearchStrategy[str] = TEXTS
) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for JSON objects that `spelled` can write; equal means JSON-equal."""
    leaves = st.none() | st.booleans() | numbers.map(Number) | texts
    inner = st.recursive(
        leaves,
        lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3),
        max_leaves=6,
    )
    return st.dictionaries(texts, inner, max_size=3)


def spelled(document: Any, seed: int) -> str:
    """Write `document` as JSON in one of its many ways, chosen by `seed`."""
    return _written(document, random.Random(seed))


def _written(part: Any, chance: random.Random) -> str:
    blank = chance.choice(("", "", " ", "\n\t"))
    match part:
        case Number(value=value):
            return _number(value, chance)
        case str():
            return '"' + "".join(_character(each, chance) for each in part) + '"'
        case list():
            return f"[{blank}" + f",{blank}".join(_written(each, chance) for each in part) + "]"
        case dict():
            names = chance.sample(list(part), len(part))
            pairs = (f"{_written(name, chance)}:{_written(part[name], chance)}" for name in names)
            return "{" + blank + f"{blank},".join(pairs) + "}"
        case _:
            return json.dumps(part)


def _number(value: Fraction, chance: random.Random) -> str:
    exponent = -chance.randrange(4)
    while (value / Fraction(10) ** exponent).denominator != 1:
        exponent -= 1
    digits = str(abs(int(value / Fraction(10) ** exponent)))
    point = chance.randrange(len(digits))
    if point:
        digits, exponent = f"{digits[:-point]}.{digits[-point:]}", exponent + point
    sign = "-" if value < 0 or (value == 0 and chance.random() < 0.5) else ""
    power = chance.choice("eE") + chance.choice(("+", "") if exponent >= 0 else ("",))
    return sign + digits + (f"{power}{exponent}" if exponent else "")


def _character(letter: str, chance: random.Random) -> str:
    if letter not in '"\\' and letter >= " " and chance.random() < 0.6:
        return letter
    units = letter.encode("utf-16-be").hex()
    hexadecimal = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return chance.choice((hexadecimal, hexadecimal.upper().replace("\\U", "\\u")))
