"""Write `app/domain/catalogue.toml` from a list of the vendor's models in JSON.

    python scripts/make_catalogue.py path/to/models.json > app/domain/catalogue.toml

Run by hand when the vendor's pages have been read anew; the same list gives the same bytes. The
list is an array with one object a model: `name`, `required` and `required_fields`, `optional`,
`required_basis`, `billing_rule`, `availability`, `price_notes`, `source` and so on. What this
script does not know stops it, so that no rule is lost without a word.

Three things are decided here, once for all models:

* A rule refuses (`enforced = true`) only where it comes from the schema of the vendor's page. What
  the page's prose says is written down and refuses nothing. A length beyond which the vendor cuts
  instead of refusing is written as `cut_at`.
* A price is taken only from a note that leaves nothing open. The figures of the page's example
  answers are placeholders, but for `EXAMPLE_IS_PRICE`.
* A model whose provider has shut it down is retired, even where the vendor still lists it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

HEADER: Final = """\
# The models this gateway knows: what each needs, what it costs, and whence that is known. A number
# or rule stands here with its source, and nowhere else. docs/catalogue.md explains every key.
# Written by scripts/make_catalogue.py. Operators override it with REELGATE_CATALOGUE_FILE.
"""

EXAMPLE_IS_PRICE: Final = frozenset({"sora-character"})
"""Models whose example answer shows their price, in credits; all others show placeholders."""

LISTED: Final = "listed in the vendor's model list of October 2026"
# A repository is named as a whole: its files move.
_FILE_IN_REPOSITORY: Final = re.compile(r"(?<=[^/])/(?:blob|tree)/.*")
_SHUT_DOWN: Final = re.compile(r"provider_shut_down_(\d{4}-\d{2}-\d{2})(?:; (.+))?")
_CUT: Final = re.compile(r"longer text is cut")
_SPAN: Final = re.compile(r"span between the chosen points must not exceed (\d+) seconds")

_AMOUNT: Final = r"\d+(?:\.\d+)?"
_ROW: Final = rf"{_AMOUNT}(?: / {_AMOUNT})+"
_FLAT: Final = re.compile(rf"({_AMOUNT}) credits per video")
_BY_DURATION: Final = re.compile(rf"({_ROW}) credits for ({_ROW}) s")
_TWO_DURATIONS: Final = re.compile(
    rf"({_AMOUNT}) credits for (\d+) s, ({_AMOUNT}) (?:credits )?for (\d+) s"
)
_BY_QUALITY: Final = re.compile(rf"({_ROW}) credits per second at (\w+(?: / \w+)+)(?:, .+)?")

NEXT_LINE: Final = "\n  "
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_HANDLED_ELSEWHERE: Final = frozenset({"model", "callback_url"})
_LIMITS: Final = ("min", "max", "any_of", "min_items", "max_items", "max_tokens")
_REMARKS: Final = ("default", "note")
_TRANSLATED: Final = (
    *("type", "enum", "format", "formats", "max_length"),
    *("required", "items", "properties"),
)
_KNOWN: Final = frozenset({*_LIMITS, *_REMARKS, *_TRANSLATED})


TOLD_AS: Final = {"seedance-1.5-pro": ("doubao-seedance-1.5-pro",)}
"""Names by which the vendor's documented answers tell of a model; lists are asked by them too."""


class ListRefused(Exception):
    """The list says something this script has no word for."""


def main(path: str) -> str:
    """Return the catalogue made of the list at `path`."""
    models = json.loads(Path(path).read_text("utf-8"))
    return HEADER + "".join(f"\n{tables}" for tables in map(model_tables, models))


def model_tables(model: dict[str, Any]) -> str:
    """Return all tables of one model.

    Raises:
        ListRefused: the list says something about it that has no place in the catalogue.
    """
    try:
        return "\n".join(lines_of(model, ["models", model["name"]])) + "\n"
    except ListRefused as refused:
        raise ListRefused(f"{model['name']}: {refused}") from refused


def lines_of(model: dict[str, Any], path: list[str]) -> Iterator[str]:
    """Write the tables of one model, line by line."""
    prices = prices_of(model)
    status, status_source = status_of(model["availability"])
    entry = {
        "status": status,
        "status_source": status_source,
        "aliases": [*model["aliases"], *TOLD_AS.get(model["name"], ())],
        "object": "video.generation.task",
        "type": "video",
        "billing_rule": model["billing_rule"] or "unknown",
        **{key: value for key, value in prices.items() if isinstance(value, str)},
        "units": "credit" if model["name"] in EXAMPLE_IS_PRICE else "unknown",
        "estimated_time_s": model["estimated_time_s"],
        "video_duration_s": model["video_duration_s"],
        "callback_url_documented": model["callback_url_documented"] is True,
        "task_id_fields": model["task_id_fields"],
        "error_format": model["error_format"] or "unknown",
        "notes": notes_of(model),
        "source": [_FILE_IN_REPOSITORY.sub("", address) for address in model["source"]],
    }
    yield from table(path, entry)
    for key, by_field in prices.items():
        if isinstance(by_field, dict):
            for field, amounts in by_field.items():
                yield ""
                yield from table([*path, key, field], amounts)
    yield from field_tables([*path, "fields"], fields_of(model))


def status_of(availability: str) -> tuple[str, str]:
    """Return status and its source."""
    if gone := _SHUT_DOWN.fullmatch(availability):
        seen = f"; {gone[2]}" if gone[2] else ""
        return "retired", f"the provider behind it shut it down on {gone[1]}{seen}"
    if availability == "listed":
        return "active", LISTED
    if availability.startswith("absent"):
        return "unknown", availability
    raise ListRefused(f"no status for the availability {availability!r}")


def notes_of(model: dict[str, Any]) -> str:
    """Return what a reader of the entry must know: whether its page's address was seen."""
    address = model["source_page_address"]
    return "" if address == "seen" else f"address of the page {address}"


def prices_of(model: dict[str, Any]) -> dict[str, Any]:
    """Return the price keys of a model, with where they come from."""
    if model["name"] in EXAMPLE_IS_PRICE:
        return {
            "price": str(model["credits_reserved_example"]),
            "price_source": "example answer of the page, usage.credits_reserved",
        }
    note = model["price_notes"]
    if note is None:
        return {"price": "unknown", "price_source": "no price with a source"}
    prices = priced(note)
    if prices is None:
        return {"price": "unknown", "price_source": f"the page's note leaves it open: {note}"}
    return {**prices, "price_source": f"note of the page: {note}"}


def priced(note: str) -> dict[str, Any] | None:
    """Read a price note, or return None where it leaves something open."""
    if found := _FLAT.fullmatch(note):
        return {"price": found[1]}
    if found := _BY_DURATION.fullmatch(note):
        return {"price_by": {"duration": paired(found[2], found[1])}}
    if found := _TWO_DURATIONS.fullmatch(note):
        return {"price_by": {"duration": {found[2]: found[1], found[4]: found[3]}}}
    if found := _BY_QUALITY.fullmatch(note):
        return {"price_per_second_by": {"quality": paired(found[2], found[1])}}
    return None


def paired(values: str, amounts: str) -> dict[str, str]:
    """Return amount by value, out of two rows `a / b / c`."""
    return dict(zip(values.split(" / "), amounts.split(" / "), strict=True))


def fields_of(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rules of a model by field."""
    enforced = model["required_basis"] == "schema"
    given = {**model["required_fields"], **model["optional"]}
    missing = set(model["required"]) - set(given)
    if missing:
        raise ListRefused(f"no rule for {sorted(missing)}")
    return {
        name: rule_of(rule, required=name in model["required"], enforced=enforced)
        for name, rule in given.items()
        if name not in _HANDLED_ELSEWHERE
    }


def rule_of(given: dict[str, Any], **marks: bool) -> dict[str, Any]:
    """Return a rule in the catalogue's words."""
    if unknown := given.keys() - _KNOWN:
        raise ListRefused(f"no word for {sorted(unknown)}")
    rule: dict[str, Any] = {"type": given["type"]}
    rule |= {name: value for name, value in marks.items() if value or name == "enforced"}
    rule |= format_of(given)
    if "enum" in given:
        rule["enum"] = given["enum"]
    if "max_length" in given:
        is_cut = _CUT.search(given.get("note", ""))
        rule["cut_at" if is_cut else "max_length"] = given["max_length"]
    rule |= {name: given[name] for name in _LIMITS if name in given}
    if "items" in given:
        rule["items"] = rule_of(given["items"])
    rule |= {name: given[name] for name in _REMARKS if name in given}
    if given.get("properties"):
        required = given.get("required", [])
        rule["properties"] = {
            name: rule_of(inner, required=name in required)
            for name, inner in given["properties"].items()
        }
    return rule


def format_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the format of a string, with what belongs to it."""
    match given.get("format"):
        case None:
            return {}
        case "uri" if "formats" in given:
            return {"format": "media_url", "extensions": given["formats"]}
        case "uri":
            return {"format": "uri"}
        case "comma separated seconds":
            span = _SPAN.search(given.get("note", ""))
            if span is None:
                raise ListRefused("no span for seconds")
            return {"format": "time_points", "max_span_s": span[1]}
        case other:
            raise ListRefused(f"no format for {other!r}")


def field_tables(path: list[str], rules: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Write rules: one line each, and a table for each that has rules inside."""
    flat = {name: rule for name, rule in rules.items() if not holds_properties(rule)}
    if flat:
        yield ""
        yield from table(path, flat)
    for name, rule in rules.items():
        if name in flat:
            continue
        yield ""
        yield from table([*path, name], {k: v for k, v in rule.items() if not is_nested(k, v)})
        if "properties" in rule:
            yield from field_tables([*path, name, "properties"], rule["properties"])
        else:
            yield from field_tables([*path, name], {"items": rule["items"]})


def holds_properties(rule: dict[str, Any]) -> bool:
    """Return whether a rule is about an object's members, or about a list of such objects."""
    return "properties" in rule or ("items" in rule and holds_properties(rule["items"]))


def is_nested(key: str, value: Any) -> bool:
    """Return whether a member of a rule gets tables of its own."""
    return key == "properties" or (key == "items" and holds_properties(value))


def table(path: list[str], entry: dict[str, Any]) -> Iterator[str]:
    """Write one table; what is unknown or empty is left out."""
    yield "[" + ".".join(map(written_key, path)) + "]"
    for key, value in entry.items():
        if key == "source" and len(value) > 1:
            yield f"source = [{''.join(f'{NEXT_LINE}{written(one)},' for one in value)}\n]"
        elif value not in (None, [], ""):
            yield f"{written_key(key)} = {written(value)}"


def written_key(key: str) -> str:
    """Write a key, in quotes where it needs them."""
    return key if _BARE_KEY.fullmatch(key) else written(key)


def written(value: Any) -> str:
    """Write a value; strings of JSON are strings of TOML."""
    match value:
        case dict():
            inside = ", ".join(
                f"{written_key(key)} = {written(item)}" for key, item in value.items()
            )
            return f"{{ {inside} }}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case str() | bool() | int() | float():
            return json.dumps(value, ensure_ascii=False)
        case _:
            raise ListRefused(f"no way to write {value!r}")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the path
        sys.exit(__doc__)
    try:
        sys.stdout.write(main(sys.argv[1]))
    except ListRefused as refused:
        sys.exit(f"{sys.argv[1]}: {refused}")
