"""Bodies made from the rules of the catalogue: what each rule lets pass, and what it refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.domain.catalogue import Catalogue, Model
from app.domain.field_rule import ValueRule
from app.domain.requests import check_create
from app.errors import InvalidRequest

EXAMPLES = {
    "uri": "https://example.com/a.jpg",
    "media_url": "https://example.com/video.mp4",
    "time_points": "1,3",
}
OF_ANOTHER_TYPE: dict[str, list[Any]] = {
    "string": [0, 1.5, True, [], {}],
    "integer": ["5", 5.5, True, [5], {}],
    "boolean": ["true", 0, 1, []],
    "array": ["https://example.com/a.jpg", 1, {}],
    "object": ["{}", 1, []],
}


@dataclass(frozen=True)
class Case:
    """A value at a place, which a rule accepts or refuses; `refused_at` is the place it names."""

    place: tuple[str | int, ...]
    value: Any
    accepted: bool
    refused_at: str = ""


class Absent:
    """Stands for a field that is left out."""


def good_value(rule: ValueRule) -> Any:
    """Return a value that a rule accepts."""
    choices = [*rule.enum, *(value for choice in rule.any_of for value in choice.enum)]
    if choices:
        return choices[0]
    match rule.type:
        case "string":
            return EXAMPLES.get(rule.format or "", "x")
        case "integer":
            return rule.min or 0
        case "boolean":
            return True
        case "array":
            item = good_value(rule.items) if rule.items else "x"
            return [item] * max(1, rule.min_items or 0)
        case _:
            return required_values(rule.properties)


def required_values(rules: dict[str, Any]) -> dict[str, Any]:
    """Return good values for the rules that demand one."""
    return {name: good_value(rule) for name, rule in rules.items() if rule.required}


def least_body(model: Model) -> dict[str, Any]:
    """Return the smallest body that a model accepts."""
    return {"model": model.name, **required_values(model.fields)}


def cases_of(rule: ValueRule, place: tuple[str | int, ...]) -> Iterator[Case]:
    """Yield a case on both sides of every border of a rule, and of the rules inside it."""
    here = dotted(place)
    good = good_value(rule)
    yield Case(place, good, accepted=True)
    if not isinstance(place[-1], int):
        yield Case(place, None, not rule.required, here)
        yield Case(place, Absent, not rule.required, here)
    for value in OF_ANOTHER_TYPE[rule.type]:
        yield Case(place, value, accepted=False, refused_at=here)
    for value in rule.enum:
        yield Case(place, value, accepted=True)
    if rule.enum:
        yield Case(place, outside(rule), accepted=False, refused_at=here)
    yield from _cases_of_numbers(rule, place)
    yield from _cases_of_sizes(rule, place)
    if rule.items is not None:
        yield from cases_of(rule.items, (*place, 0))
    for name, inner in rule.properties.items():
        yield from cases_of(inner, (*place, name))


def _cases_of_numbers(rule: ValueRule, place: tuple[str | int, ...]) -> Iterator[Case]:
    listed = [value for choice in rule.any_of for value in choice.enum]
    for choice in (rule, *rule.any_of):
        if choice.min is not None and choice.max is not None:
            yield Case(place, choice.min, accepted=True)
            yield Case(place, choice.max, accepted=True)
            yield Case(place, choice.min - 1, accepted=False, refused_at=dotted(place))
            yield Case(place, choice.max + 1, accepted=False, refused_at=dotted(place))
        for value in listed:
            yield Case(place, value, accepted=True)
            yield Case(place, value - 1, accepted=False, refused_at=dotted(place))


def _cases_of_sizes(rule: ValueRule, place: tuple[str | int, ...]) -> Iterator[Case]:
    here = dotted(place)
    if rule.max_length is not None:
        yield Case(place, "ü" * rule.max_length, accepted=True)
        yield Case(place, "x" * (rule.max_length + 1), accepted=False, refused_at=here)
    if rule.cut_at is not None:
        yield Case(place, "x" * (rule.cut_at + 1), accepted=True)
    if rule.items is None:
        return
    item = good_value(rule.items)
    if rule.max_items is not None:
        yield Case(place, [item] * rule.max_items, accepted=True)
        yield Case(place, [item] * (rule.max_items + 1), accepted=False, refused_at=here)
    if rule.min_items:
        yield Case(place, [item] * rule.min_items, accepted=True)
        yield Case(place, [item] * (rule.min_items - 1), accepted=False, refused_at=here)


def outside(rule: ValueRule) -> Any:
    """Return a value of the rule's type that it does not list."""
    numbers = [value for value in rule.enum if isinstance(value, int)]
    return max(numbers) + 1 if numbers else f"{rule.enum[0]} "


def dotted(place: tuple[str | int, ...]) -> str:
    """Write a place as refusals do."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).removeprefix(".")


def body_of(case: Case, model: Model) -> dict[str, Any]:
    """Return the model's least body with the case's value in its place."""
    body = copy.deepcopy(least_body(model))
    holder: Any = body
    rules: Any = model.fields
    for step, following in zip(case.place, case.place[1:], strict=False):
        rule = rules.items if isinstance(step, int) else rules[step]
        made: Any = [good_value(rule.items)] if isinstance(following, int) else good_value(rule)
        if isinstance(step, int):
            holder[step] = made
        else:
            holder.setdefault(step, made)
        holder, rules = holder[step], rule if isinstance(following, int) else rule.properties
    if case.value is Absent:
        holder.pop(case.place[-1], None)
    else:
        holder[case.place[-1]] = case.value
    return body


def refused_at(body: dict[str, Any], catalogue: Catalogue) -> str | None:
    """Return the place a body is refused for, or None where it passes."""
    try:
        check_create(json.dumps(body).encode(), catalogue)
    except InvalidRequest as refusal:
        return refusal.param
    return None
