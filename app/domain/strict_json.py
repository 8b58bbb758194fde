"""JSON fit to cross a money boundary: read strictly, written back with numbers as spelled.

RFC 8259 leaves duplicate names, number ranges and lone surrogates to the implementation. Two
readers that differ there are two meanings of one paid request, so none of that passes.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

from app.errors import MalformedJson

MAX_DEPTH: Final = 32
"""Deepest nesting of arrays and objects that is read."""

MAX_NUMBER_CHARS: Final = 64
"""Longest spelling of a number; a double needs at most 24 characters."""

MAX_VALUES: Final = 100_000
"""Most names and values in one body, by the punctuation between them; media in base64 has none."""

_NUMBER: Final = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class SpelledNumber(float):
    """A number that remembers how it was written, so that it can be forwarded unchanged."""

    spelling: str

    def __new__(cls, spelling: str) -> SpelledNumber:
        """Read a JSON number.

        Raises:
            MalformedJson: too long, or beyond the range of a double.
        """
        if len(spelling) > MAX_NUMBER_CHARS:
            raise MalformedJson(f"a number has more than {MAX_NUMBER_CHARS} characters: shorten it")
        if _NUMBER.fullmatch(spelling) is None:
            raise MalformedJson("a number has an exponent of more than 4 digits: use another")
        value = super().__new__(cls, spelling)
        if value in (float("inf"), float("-inf")):
            raise MalformedJson("a number is beyond the range of a double: use a smaller one")
        value.spelling = spelling
        return value


def plain(value: Any) -> Any:
    """Return a parsed value with ordinary numbers; a whole one, however written, is an int."""
    match value:
        case SpelledNumber():
            exact = Decimal(value.spelling)
            return int(exact) if exact == exact.to_integral_value() else float(value)
        case list():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case _:
            return value


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; numbers become `SpelledNumber`.

    Raises:
        MalformedJson: the message names the rule that was broken and, where known, the place.
    """
    value = _parse(raw)
    if not isinstance(value, dict):
        raise MalformedJson('the body must be a JSON object, such as {"name": "value"}')
    _check(value, depth=1, path="")
    return value


def _parse(raw: bytes) -> Any:
    if not raw.strip():
        raise MalformedJson("the body is empty: send a JSON object")
    if raw.count(b",") + raw.count(b":") + raw.count(b"[") > MAX_VALUES:
        raise MalformedJson(f"the body has more than {MAX_VALUES} names and values: send fewer")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise MalformedJson("the body begins with a byte order mark: send plain UTF-8")
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=SpelledNumber,
            parse_int=SpelledNumber,
        )
    except UnicodeDecodeError as failure:
        raise MalformedJson(f"the body is not UTF-8 (byte {failure.start})") from failure
    except json.JSONDecodeError as failure:
        raise MalformedJson(
            f"the body is not valid JSON: {failure.msg}"
            f" at line {failure.lineno}, column {failure.colno}"
        ) from failure
    except RecursionError as failure:
        raise MalformedJson(f"the body is nested deeper than {MAX_DEPTH} levels") from failure


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for double, _ in pairs:
            if double in seen:
                break
            seen.add(double)
        raise MalformedJson(
            f"the name {_shown(double)} stands twice in one object", param=_shown(double)
        )
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON: use a number or null")


def _check(value: Any, *, depth: int, path: str) -> None:
    if depth > MAX_DEPTH:
        raise MalformedJson(f"the body is nested deeper than {MAX_DEPTH} levels")
    match value:
        case str():
            if _SURROGATE.search(value):
                raise MalformedJson("a string holds half of a surrogate pair", param=path or None)
        case dict():
            for name, item in value.items():
                _check(name, depth=depth, path=_shown(name))
                _check(item, depth=depth + isinstance(item, dict | list), path=path or _shown(name))
        case list():
            for item in value:
                _check(item, depth=depth + isinstance(item, dict | list), path=path)


def _shown(name: str) -> str:
    """Return a field name fit for an error message: printable, at most 64 characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:64])


def dump(value: Any) -> str:
    """Write `value` back as compact JSON, numbers as they were spelled."""
    match value:
        case SpelledNumber():
            return value.spelling
        case dict():
            return (
                "{"
                + ",".join(f"{json.dumps(name)}:{dump(item)}" for name, item in value.items())
                + "}"
            )
        case list():
            return "[" + ",".join(dump(item) for item in value) + "]"
        case _:
            return json.dumps(value)


def fingerprint(value: Any) -> str:
    """Return a hash that two JSON values share exactly when they are equal; so 1 is 1.0."""
    return hashlib.sha256(_canonical(value).encode("utf-8")).hexdigest()


def _canonical(value: Any) -> str:
    match value:
        case SpelledNumber():
            return _canonical_number(value.spelling)
        case dict():
            return (
                "{"
                + ",".join(f"{json.dumps(n)}:{_canonical(value[n])}" for n in sorted(value))
                + "}"
            )
        case list():
            return "[" + ",".join(map(_canonical, value)) + "]"
        case _:
            return json.dumps(value)


def _canonical_number(spelling: str) -> str:
    """Return a number as significant digits and exponent: one form for 1, 1.0 and 10e-1."""
    match = _NUMBER.fullmatch(spelling)
    if match is None:
        raise ValueError(spelling)
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    return f"{sign}{significant}e{exponent - len(fraction) + len(digits) - len(significant)}"
