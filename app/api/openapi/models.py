"""The body of a create: one schema for each model of the catalogue, made from its rules.

A schema is as strict as the gateway and no stricter. What is not enforced, and what a schema cannot
say, stands in descriptions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from app.api.openapi.pieces import Schema, component, reference
from app.domain.catalogue import MODEL_NAME, UNKNOWN, Catalogue, Model
from app.domain.field_rule import Choice, FieldRule, ValueRule
from app.domain.formats import MAX_MEDIA_URL_CHARS, MAX_TIME_POINTS_CHARS
from app.domain.requests import EARLIER_TASK_FIELDS
from app.domain.targets import MAX_URL_CHARS

CREATE_REQUEST: Final = "CreateRequest"
_OTHER_MODEL: Final = "CreateRequestOfAnotherModel"

_FORMATS: Final[dict[str, Schema]] = {
    "uri": {"format": "uri"},
    "media_url": {"format": "media-url", "maxLength": MAX_MEDIA_URL_CHARS},
    "time_points": {"format": "time-points", "maxLength": MAX_TIME_POINTS_CHARS},
}
"""What a schema says of the formats of the catalogue."""

_KEYWORDS: Final = {
    "min": "minimum",
    "max": "maximum",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
}
"""The rules that JSON Schema has a word for."""

_NOUNS: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}

_EARLIER_TASK: Final[Schema] = {
    "format": "task-id",
    "description": "The id of a task of yours that the video service has taken.",
}

_SHARED_FIELDS: Final[dict[str, Schema]] = {
    "CallbackUrl": {
        "type": ["string", "null"],
        "format": "callback-url",
        "maxLength": MAX_URL_CHARS,
        "description": "Where the task's answer is posted to once it has ended, signed with the"
        " tenant's webhook secret. It stays here: the video service never learns it."
        " https on port 443, unless the operator of this gateway allows more.",
    },
}


def create_requests(catalogue: Catalogue) -> dict[str, Schema]:
    """Return the schema of a create body, and those it chooses from, by component name."""
    bodies = {name: _body(model) for name, model in _named(catalogue.models.values())}
    words = {name: body["properties"]["model"]["enum"] for name, body in bodies.items()}
    chosen = {word: component("schemas", name) for name in words for word in words[name]}
    if catalogue.allow_unknown:
        bodies[_OTHER_MODEL] = _body_of_another_model(list(chosen))
    whole = {
        "description": "What else there is depends on `model`. Fields that are not listed go to the"
        " video service as they are; null means absent.",
        "oneOf": [reference("schemas", name) for name in bodies],
        "discriminator": {"propertyName": "model", "mapping": chosen},
    }
    return {CREATE_REQUEST: whole, **bodies, **_SHARED_FIELDS}


def _named(models: Iterable[Model]) -> Iterator[tuple[str, Model]]:
    """Give each model a component name: its own, but for letters that such names cannot have."""
    taken: set[str] = set()
    for model in models:
        name = f"{CREATE_REQUEST}.{re.sub(r'[^A-Za-z0-9._-]', '_', model.name)}"
        while name in taken:
            name += "_"
        taken.add(name)
        yield name, model


def _body(model: Model) -> Schema:
    enforced = [name for name, rule in model.fields.items() if rule.enforced and rule.required]
    properties: Schema = {
        "model": {"type": "string", "enum": [model.name, *model.aliases]},
        **{name: _field(rule) for name, rule in model.fields.items()},
        "callback_url": reference("schemas", "CallbackUrl"),
    }
    for path in (*EARLIER_TASK_FIELDS, *model.task_id_fields):
        _add_earlier_task(properties, path.split("."))
    return {
        "type": "object",
        "title": model.name,
        "description": _described_model(model),
        "required": ["model", *enforced],
        "properties": properties,
        "additionalProperties": True,
    }


def _add_earlier_task(properties: Schema, path: list[str]) -> None:
    """Let a field be the id of a task; what it lies in may be something else than an object."""
    *outer, name = path
    for part in outer:
        properties = properties.setdefault(part, {}).setdefault("properties", {})
    known = properties.get(name, {})
    properties[name] = {"type": ["string", "null"], **known, **_EARLIER_TASK}
    if note := known.get("description"):
        properties[name]["description"] += f" {note}"


def _body_of_another_model(known: list[str]) -> Schema:
    properties: Schema = {
        "model": {
            "type": "string",
            "pattern": f"^{MODEL_NAME.pattern}$",
            "not": {"enum": known},
        },
        "callback_url": reference("schemas", "CallbackUrl"),
    }
    for path in EARLIER_TASK_FIELDS:
        _add_earlier_task(properties, path.split("."))
    return {
        "type": "object",
        "title": "any other model",
        "description": "This gateway forwards models that its catalogue does not hold.",
        "required": ["model"],
        "properties": properties,
        "additionalProperties": True,
    }


def _described_model(model: Model) -> str:
    said = {
        "active": "The video service is believed to serve this model.",
        "retired": "The video service has retired this model; creates are still forwarded.",
        UNKNOWN: "Whether the video service still serves this model is not known.",
    }
    return said[model.status]


def _field(rule: FieldRule) -> Schema:
    if rule.enforced:
        return value_schema(rule, nullable=not rule.required)
    told = "; ".join(["required"] * rule.required + list(_told(rule)))
    return {"description": f"Not checked here; the page of the video service says: {told}."}


def value_schema(rule: ValueRule, *, nullable: bool) -> Schema:
    """Return the schema of what an enforced rule accepts."""
    keywords = {word: getattr(rule, key) for key, word in _KEYWORDS.items()}
    schema: Schema = {"type": [rule.type, "null"] if nullable else rule.type}
    schema |= {word: value for word, value in keywords.items() if value is not None}
    schema |= _FORMATS.get(rule.format or "", {})
    if rule.enum:
        schema["enum"] = [*rule.enum, None] if nullable else list(rule.enum)
    if rule.any_of:
        del schema["type"]
        schema["anyOf"] = [_alternative(rule.type, choice) for choice in rule.any_of]
        schema["anyOf"] += [{"type": "null"}] * nullable
    if rule.items is not None:
        schema["items"] = value_schema(rule.items, nullable=False)
    schema |= _members(rule.properties)
    if remarks := list(_remarks(rule)):
        schema["description"] = f"{'; '.join(remarks)}."
    return schema


def _alternative(kind: str, choice: Choice) -> Schema:
    limits = {"minimum": choice.min, "maximum": choice.max, "enum": list(choice.enum) or None}
    return {"type": kind, **{word: value for word, value in limits.items() if value is not None}}


def _members(rules: Mapping[str, ValueRule]) -> Schema:
    if not rules:
        return {}
    required = [name for name, rule in rules.items() if rule.required]
    properties = {
        name: value_schema(rule, nullable=not rule.required) for name, rule in rules.items()
    }
    return {"properties": properties} | ({"required": required} if required else {})


def _remarks(rule: ValueRule) -> Iterator[str]:
    """Say of a rule what no keyword says."""
    match rule.format:
        case "uri":
            yield "an absolute URI"
        case "media_url":
            endings = ", ".join(rule.extensions)
            yield f"http or https URL on a public host, its path with no extension or {endings}"
        case "time_points":
            yield f"seconds, separated by commas, within {rule.max_span_s} s of each other"
    if rule.cut_at is not None:
        yield f"cut after {rule.cut_at} characters"
    if rule.max_tokens is not None:
        yield f"at most {rule.max_tokens} tokens"
    if rule.default is not None:
        yield f"without it {json.dumps(rule.default, ensure_ascii=False)} is taken"
    if rule.note:
        yield rule.note


def _told(rule: ValueRule) -> Iterator[str]:
    """Say all of a rule in words."""
    values = " or ".join(filter(None, map(_permitted, (rule, *rule.any_of))))
    yield f"{_NOUNS[rule.type]}: {values}" if values else _NOUNS[rule.type]
    yield from _between(None, rule.max_length, " characters")
    yield from _between(rule.min_items, rule.max_items, " items")
    if rule.items is not None:
        yield f"each item {', '.join(_told(rule.items))}"
    for name, inner in rule.properties.items():
        needed = ["required"] if inner.required else []
        yield f"{name} ({', '.join([*needed, *_told(inner)])})"
    yield from _remarks(rule)


def _permitted(choice: Choice) -> str:
    values = [str(value) for value in choice.enum]
    listed = [values[0]] if len(values) == 1 else [f"one of {', '.join(values)}"] * bool(values)
    return ", ".join([*listed, *_between(choice.min, choice.max, "")])


def _between(least: int | None, most: int | None, unit: str) -> Iterator[str]:
    """Say a range in words, or nothing where there is no limit."""
    if least is not None and most is not None:
        yield f"{least} to {most}{unit}" if least != most else f"{least}{unit}"
    elif least is not None:
        yield f"at least {least}{unit}"
    elif most is not None:
        yield f"at most {most}{unit}"
