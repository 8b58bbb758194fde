"""The schemas of the gateway's document, as judges of values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema_rs import Draft202012Validator

SCHEMA_KEYWORDS = frozenset(
    [
        *("$ref", "type", "enum", "const", "not", "oneOf", "anyOf", "discriminator"),
        *("minimum", "maximum", "minLength", "maxLength", "pattern", "format"),
        *("properties", "required", "additionalProperties", "minProperties"),
        *("items", "minItems", "maxItems", "uniqueItems", "title", "description"),
    ]
)
"""Those that the document uses: a validator says nothing about a keyword that is misspelled."""


def resolved(part: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follow `$ref` to the component it names; a reference to nothing is a `KeyError`."""
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def problems(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Name every place at which `value` is not as a schema of the document says."""
    found = judge_of(schema, document).iter_errors(value)
    return [f"{_place(error.instance_path)}: {error.message}" for error in found]


def judge_of(schema: dict[str, Any], document: dict[str, Any]) -> Draft202012Validator:
    """Return the validator of a schema of the document."""
    # With what it leads to and no more: most schemas are small, the document is not.
    needed = {"components": {"schemas": _led_to(schema, document)}}
    return _validator(json.dumps(schema | needed))


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a schema and all within it, but none that is only referred to."""
    yield schema
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("not")]
    inner += [*schema.get("oneOf", []), *schema.get("anyOf", [])]
    inner.append(schema.get("additionalProperties"))
    for each in inner:
        if isinstance(each, dict):
            yield from subschemas(each)


def _led_to(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for part in subschemas(waiting.pop()):
            name = part.get("$ref", "").rpartition("/")[2]
            if name and name not in found:
                found[name] = resolved(part, document)
                waiting.append(found[name])
    return found


@lru_cache(maxsize=200)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema), validate_formats=True)


def _place(path: list[str | int]) -> str:
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
