"""JSON fit to cross a money boundary: read strictly, written back with numbers as spelled.

RFC 8259 leaves duplicate names, number ranges and lone surrogates to the implementation. Two
readers that differ there are two meanings of one paid request, so none of that passes.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.errors import MalformedJson

MAX_DEPTH: Final = 32
"""Deepest nesting of arrays and objects that is read."""

MAX_NUMBER_CHARS: Final = 64
"""Longest spelling of a number; a double needs at most 24 characters."""

MAX_VALUES: Final = 100_000
"""Most names and values in one body, by the punctuation between them; media in base64 has none."""

MAX_SHOWN_CHARS: Final = 64
"""Most of a place that is told: names come from outside."""

_NUMBER: Final = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INFINITE: Final = (float("inf"), float("-inf"))

_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[][{},:]', re.DOTALL)
"""Strings, also one that is cut off, and what structures JSON."""

Path = tuple["Path", str | int] | None
"""A place from the inside: what holds it, and its name or number there; None is the body."""


class SpelledNumber(float):
    """A number that remembers how it was written, so that it can be forwarded unchanged."""

    spelling: str


@dataclass(frozen=True, slots=True)
class _Broken:
    """Stands for a value that breaks a rule until the walk that knows its place comes by."""

    rule: str
    name: str | None = None
    """The member of it that is meant, where it is not the whole."""


_TOO_LONG: Final = _Broken(f"a number has more than {MAX_NUMBER_CHARS} characters: shorten it")
_BAD_EXPONENT: Final = _Broken("a number has an exponent of more than 4 digits: use a smaller one")
_TOO_LARGE: Final = _Broken("a number is beyond the range of a double: use a smaller one")


def _number(spelling: str) -> SpelledNumber | _Broken:
    if len(spelling) > MAX_NUMBER_CHARS:
        return _TOO_LONG
    if _NUMBER.fullmatch(spelling) is None:
        return _BAD_EXPONENT
    value = SpelledNumber(spelling)
    if value in _INFINITE:
        return _TOO_LARGE
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
    if isinstance(value, _Broken) and value.name is not None:
        raise _refusal(value.rule, (None, value.name))
    if not isinstance(value, dict):
        raise MalformedJson('the body must be a JSON object, such as {"name": "value"}')
    _check(value, depth=1, path=None)
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
            parse_constant=_constant,
            parse_float=_number,
            parse_int=_number,
        )
    except UnicodeDecodeError as failure:
        before = raw[: failure.start].decode("utf-8")
        rule = f"the body is not UTF-8 (byte {failure.start}): encode it as UTF-8"
        raise _refusal(rule, _path_at_end(before)) from failure
    except json.JSONDecodeError as failure:
        raise MalformedJson(
            f"the body is not valid JSON: {failure.msg}"
            f" at line {failure.lineno}, column {failure.colno}: correct it there"
        ) from failure
    except RecursionError as failure:
        raise _too_deep(_path_at_end(raw.decode("utf-8"))) from failure


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Broken:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for double, _ in pairs:
        if double in seen:
            break
        seen.add(double)
    return _Broken("the name stands twice in one object: give it once", name=double)


def _constant(name: str) -> _Broken:
    return _Broken(f"{name} is not JSON: use a number or null")


def _check(held: dict[str, Any] | list[Any], *, depth: int, path: Path) -> None:
    """Refuse the first thing in an object or array that breaks a rule."""
    if depth > MAX_DEPTH:
        raise _too_deep(path)
    for part, item in held.items() if isinstance(held, dict) else enumerate(held):
        if isinstance(part, str):
            _check_text(part, (path, part))
        if isinstance(item, str):
            _check_text(item, (path, part))
        elif isinstance(item, dict | list):
            _check(item, depth=depth + 1, path=(path, part))
        elif isinstance(item, _Broken):
            place = (path, part)
            raise _refusal(item.rule, place if item.name is None else (place, item.name))


def _check_text(text: str, path: Path) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise _refusal("a string holds half of a surrogate pair: send whole characters", path)


def _path_at_end(text: str) -> Path:
    """Return where in a document its beginning ends: at its end, or at the first level too deep."""
    parts: list[str | int] = []
    string = ""
    for found in _PIECE.finditer(text):
        match piece := found[0]:
            case "{" | "[":
                parts.append("" if piece == "{" else 0)
            case "}" | "]":
                del parts[-1:]
            case ":" if parts:
                parts[-1] = string
            case "," if parts:
                parts[-1] = parts[-1] + 1 if isinstance(parts[-1], int) else ""
            case _:
                string = piece[1:-1]
        if len(parts) > MAX_DEPTH:
            break
    path: Path = None
    for part in parts:
        path = path if part == "" else (path, part)
    return path


def _too_deep(path: Path) -> MalformedJson:
    """Refuse depth by the field of the body that has it: thirty-two levels are no name."""
    while path is not None and path[0] is not None:
        path = path[0]
    return _refusal(f"nested deeper than {MAX_DEPTH} levels: nest it less deeply", path)


def _refusal(rule: str, path: Path) -> MalformedJson:
    """Return the refusal of what stands at `path`, such as `image_urls[2]`."""
    parts: list[str | int] = []
    while path is not None:
        path, part = path
        parts.append(part)
    parts.reverse()
    # A list has no field, and an empty name tells nobody anything.
    if not parts or parts[0] == "" or isinstance(parts[0], int):
        return MalformedJson(rule if rule.startswith("the body") else f"the body: {rule}")
    where = _shown(str(parts[0]))
    for part in parts[1:]:
        more = f"[{part}]" if isinstance(part, int) else f".{_shown(part)}"
        if len(where + more) > MAX_SHOWN_CHARS:
            break
        where += more
    return MalformedJson(f"{where}: {rule}", param=where)


def _shown(name: str) -> str:
    """Return a field name fit for an error message: printable, and of limited length."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_SHOWN_CHARS])


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
