"""Documented against given: the same members, of the same JSON types, at the same places."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

MONEY: Final = frozenset(
    {
        "credits",
        "credits_reserved",
        "credits_used",
        "remaining_credits",
        "used_credits",
        "usd",
        "cny",
    }
)
"""Amounts: whole or with decimals, as it comes out. All other numbers keep their kind."""

JSON_NAMES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def kind(value: Any, path: str) -> str:
    """Return the JSON type of a value, with whole numbers apart where they are no money."""
    name = JSON_NAMES[type(value)]
    is_money = path.rpartition(".")[2] in MONEY
    return "number" if name == "integer" and is_money else name


def differences(
    documented: Any, given: Any, excepted: Collection[str] = (), path: str = ""
) -> Iterator[str]:
    """Name every documented member that is missing in `given` or has another type there.

    Each item of a given array is held against the first documented one.
    """
    if path in excepted:
        return
    wanted, found = kind(documented, path), kind(given, path)
    if wanted != found:
        yield f"{path}: documented {wanted}, given {found}"
    elif wanted == "object":
        yield from _in_members(documented, given, excepted, path)
    elif wanted == "array" and documented:
        yield from _in_items(documented[0], given, excepted, path)


def _in_members(
    documented: dict[str, Any], given: dict[str, Any], excepted: Collection[str], path: str
) -> Iterator[str]:
    for member, value in documented.items():
        below = f"{path}.{member}".lstrip(".")
        if member in given:
            yield from differences(value, given[member], excepted, below)
        elif below not in excepted:
            yield f"{below}: documented, not given"


def _in_items(
    documented: Any, given: list[Any], excepted: Collection[str], path: str
) -> Iterator[str]:
    if not given:
        yield f"{path}: documented with items, given empty"
    for index, item in enumerate(given):
        yield from differences(documented, item, excepted, f"{path}[{index}]")


def values(answer: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is no object by its path; arrays count as one value."""
    if not isinstance(answer, dict):
        yield path, answer
        return
    for member, value in answer.items():
        yield from values(value, f"{path}.{member}".lstrip("."))
