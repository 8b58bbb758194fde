"""A create body held against its model's rules; what breaks one is named by place and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from app.domain.catalogue import Model
from app.domain.field_rule import Choice, ValueRule
from app.domain.formats import check_media_url, check_time_points, check_uri
from app.domain.strict_json import SpelledNumber
from app.errors import InvalidRequest


def check_fields(body: Mapping[str, Any], model: Model) -> None:
    """Check the enforced rules of a model; null means absent, fields without a rule pass.

    Raises:
        InvalidRequest: a value breaks a rule; `param` is its place, such as `image_urls[2]`.
    """
    for name, rule in model.fields.items():
        if rule.enforced:
            _check_member(body, name, rule, path=name)


def _check_member(holder: Mapping[str, Any], name: str, rule: ValueRule, *, path: str) -> None:
    value = holder.get(name)
    if value is not None:
        _check(value, rule, path)
    elif rule.required:
        raise InvalidRequest(f"{path} is required: it must be {_wanted(rule)}", param=path)


def _check(value: Any, rule: ValueRule, path: str) -> None:
    try:
        if not _IS_OF_TYPE[rule.type](value):
            raise ValueError(f"it must be {_wanted(rule)}")  # noqa: TRY301 - one place adds the path
        match value:
            case str():
                _check_text(value, rule)
            case SpelledNumber():
                _check_number(value, rule)
            case list():
                _check_length(value, rule)
    except ValueError as broken:
        raise InvalidRequest(f"Invalid {path} parameter: {broken}", param=path) from broken
    _check_inside(value, rule, path)


def _check_inside(value: Any, rule: ValueRule, path: str) -> None:
    if rule.items is not None:
        for index, item in enumerate(value):
            _check(item, rule.items, f"{path}[{index}]")
    for name, inner in rule.properties.items():
        _check_member(value, name, inner, path=f"{path}.{name}")


def _check_text(value: str, rule: ValueRule) -> None:
    if rule.enum and value not in rule.enum:
        raise ValueError(f"it must be {_wanted(rule)}")
    if rule.max_length is not None and len(value) > rule.max_length:
        raise ValueError(
            f"it has {len(value)} characters, at most {rule.max_length} are accepted: shorten it"
        )
    match rule.format:
        case "uri":
            check_uri(value)
        case "media_url":
            check_media_url(value, rule.extensions)
        case "time_points":
            check_time_points(value, rule.max_span_s or "0")


def _check_number(value: SpelledNumber, rule: ValueRule) -> None:
    exact = Decimal(value.spelling)
    is_one_of_them = not rule.any_of or any(_permits(choice, exact) for choice in rule.any_of)
    if not (_permits(rule, exact) and is_one_of_them):
        raise ValueError(f"it must be {_wanted(rule)}")


def _permits(choice: Choice, number: Decimal) -> bool:
    return (
        (not choice.enum or number in choice.enum)
        and (choice.min is None or number >= choice.min)
        and (choice.max is None or number <= choice.max)
    )


def _check_length(value: list[Any], rule: ValueRule) -> None:
    if rule.max_items is not None and len(value) > rule.max_items:
        raise ValueError(f"it has {len(value)} items, at most {rule.max_items} are accepted")
    if rule.min_items is not None and len(value) < rule.min_items:
        raise ValueError(f"it has {len(value)} items, at least {rule.min_items} are needed")


def _is_whole(value: Any) -> bool:
    """Return whether a value is a whole number however it is spelled: 10, 10.0 or 1e1."""
    if not isinstance(value, SpelledNumber):
        return False
    exact = Decimal(value.spelling)
    return exact == exact.to_integral_value()


_IS_OF_TYPE: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_whole,
    "number": lambda value: isinstance(value, SpelledNumber),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

_NOUNS: Final = {
    "string": "a string",
    "integer": "a whole number, without quotes",
    "number": "a number, without quotes",
    "boolean": "true or false, without quotes",
    "array": "an array",
    "object": "an object",
}


def _wanted(rule: ValueRule) -> str:
    """Say what a rule accepts: the type, and the values where they can be listed."""
    values = " or ".join(filter(None, map(_listed, (rule, *rule.any_of))))
    return f"{_NOUNS[rule.type]}: {values}" if values else _NOUNS[rule.type]


def _listed(choice: Choice) -> str:
    return ", ".join(_parts(choice))


def _parts(choice: Choice) -> Iterator[str]:
    if len(choice.enum) > 1:
        yield "one of " + ", ".join(map(str, choice.enum))
    elif choice.enum:
        yield str(choice.enum[0])
    if choice.min is not None and choice.max is not None:
        yield f"from {choice.min} to {choice.max}"
    elif choice.min is not None:
        yield f"{choice.min} or more"
    elif choice.max is not None:
        yield f"{choice.max} or less"
