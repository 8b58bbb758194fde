"""JSON Schema, as far as the gateway's document uses it; an unknown keyword is a problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

NOTES = frozenset({"$ref", "description", "title", "example", "format", "default"})
"""Keywords that say nothing which could be checked here."""

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}

SCALAR_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, allowed: value in allowed,
    "const": lambda value, only: value == only,
    "minimum": lambda value, least: value >= least,
    "maximum": lambda value, most: value <= most,
    "minLength": lambda value, least: len(value) >= least,
    "maxLength": lambda value, most: len(value) <= most,
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
}
KEYWORDS = NOTES | SCALAR_RULES.keys() | {"type", "required", "properties", "items"}
KEYWORDS |= {"additionalProperties"}


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follow `$ref` to the schema it names; a reference to nothing is a `KeyError`."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def problems(
    value: Any, schema: dict[str, Any], document: dict[str, Any], where: str = "$"
) -> Iterator[str]:
    """Name every place at which `value` is not as `schema` says."""
    schema = resolved(schema, document)
    if unknown := schema.keys() - KEYWORDS:
        yield f"{where}: the schema uses {sorted(unknown)}, which this check does not know"
    if "type" in schema and not _is_one_of(value, schema["type"]):
        yield f"{where}: {value!r} is not {schema['type']}"
        return
    for rule in SCALAR_RULES.keys() & schema.keys():
        if not SCALAR_RULES[rule](value, schema[rule]):
            yield f"{where}: {value!r} breaks {rule} {schema[rule]!r}"
    if isinstance(value, dict):
        yield from _object_problems(value, schema, document, where)
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), document, f"{where}[{place}]")


def _is_one_of(value: Any, wanted: str | list[str]) -> bool:
    return any(TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted))


def _object_problems(
    value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], where: str
) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{where}: {name} is missing"
    listed, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in listed:
            yield from problems(item, listed[name], document, f"{where}.{name}")
        elif others is False:
            yield f"{where}: {name} is not listed"
        elif isinstance(others, dict):
            yield from problems(item, others, document, f"{where}.{name}")
