"""The rule engine: what each kind of rule accepts, and how it tells what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalogue import Catalogue, read_catalogue
from app.domain.requests import check_create
from app.errors import InvalidRequest

WHOLE = {"type": "integer", "min": 4, "max": 30}
OR_ANY = {"type": "integer", "any_of": [{"min": 4, "max": 30}, {"enum": [-1]}]}
QUALITY = {"type": "string", "enum": ["480p", "4k"]}
ADDRESS = {"type": "string", "format": "uri"}
PARAMS = {
    "type": "object",
    "properties": {
        "orientation": {"type": "string", "required": True, "enum": ["image", "video"]},
        "shots": {
            "type": "array",
            "items": {"type": "object", "properties": {"index": {"type": "integer"}}},
        },
    },
}


def catalogue_of(rule: dict[str, Any], **more: Any) -> Catalogue:
    """Return a catalogue of one model, whose field `f` has the rule."""
    field = {"enforced": True, **rule, **more}
    return read_catalogue({"models": {"m": {"fields": {"f": field}}}})


def refusal(rule: dict[str, Any], text: str) -> InvalidRequest | None:
    """Return how the value, written in JSON, is refused, or None where it passes."""
    raw = b'{"model": "m", "f": ' + text.encode() + b"}"
    try:
        check_create(raw, catalogue_of(rule))
    except InvalidRequest as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (WHOLE, "10"),
        (WHOLE, "10.0"),
        (WHOLE, "1e1"),
        (WHOLE, "30.000000000000000000000000000000"),
        ({"type": "integer"}, "-9007199254740993"),
        ({"type": "number", "min": 0, "max": 1}, "0.5"),
        ({"type": "number", "min": 0, "max": 1}, "1.0"),
        (OR_ANY, "-1"),
        (OR_ANY, "-1.0"),
        (OR_ANY, "30"),
        ({"type": "integer", "enum": [5, 10]}, "1e1"),
        (QUALITY, '"4k"'),
        ({"type": "string", "max_length": 2}, '"\U0001f600\U0001f600"'),
        ({"type": "string"}, '""'),
        ({"type": "string", "cut_at": 1}, '"long"'),
        ({"type": "string", "max_tokens": 1}, '"two words"'),
        ({"type": "array", "max_items": 0}, "[]"),
        ({"type": "array"}, '[1, "a", null]'),
        (PARAMS, '{"orientation": "image"}'),
        (PARAMS, '{"orientation": "image", "shots": null, "unknown": [1]}'),
        (PARAMS, '{"orientation": "video", "shots": [{}, {"index": 1}, {"index": null}]}'),
    ],
)
def test_what_a_rule_permits_passes(rule: dict[str, Any], text: str) -> None:
    """Numbers by their value, however spelled; text by its characters; null is absent."""
    assert refusal(rule, text) is None


@pytest.mark.parametrize(
    ("rule", "text", "message"),
    [
        (
            WHOLE,
            "31",
            "Invalid f parameter: it must be a whole number, without quotes: from 4 to 30",
        ),
        (WHOLE, "3", "from 4 to 30"),
        (WHOLE, "30.000000000000000000000000000001", "whole number"),
        ({"type": "integer"}, "9007199254740993.5", "whole number"),
        ({"type": "integer"}, "0.5", "whole number"),
        (WHOLE, '"10"', "whole number, without quotes"),
        (WHOLE, "true", "whole number"),
        (OR_ANY, "0", "from 4 to 30 or -1"),
        (OR_ANY, "-2", "from 4 to 30 or -1"),
        ({"type": "integer", "min": 1}, "0", "1 or more"),
        ({"type": "integer", "max": 1}, "2", "1 or less"),
        ({"type": "integer", "enum": [5, 10]}, "7", "one of 5, 10"),
        ({"type": "number", "min": 0, "max": 1}, "1.0000000000000000000000001", "from 0 to 1"),
        ({"type": "number"}, '"1"', "a number, without quotes"),
        (QUALITY, '"4K"', "one of 480p, 4k"),
        (QUALITY, "480", "a string: one of 480p, 4k"),
        ({"type": "string", "max_length": 2}, '"abc"', "it has 3 characters, at most 2"),
        ({"type": "boolean"}, '"false"', "true or false, without quotes"),
        ({"type": "boolean"}, "0", "true or false"),
        ({"type": "array", "max_items": 1}, "[1, 2]", "it has 2 items, at most 1"),
        ({"type": "array", "min_items": 1}, "[]", "it has 0 items, at least 1"),
        ({"type": "array"}, '"a"', "an array"),
        ({"type": "object"}, "[]", "an object"),
        (ADDRESS, '"a.jpg"', "https://example.com/a.jpg"),
    ],
)
def test_a_refusal_says_what_to_write_instead(
    rule: dict[str, Any], text: str, message: str
) -> None:
    """It names the field and what the rule wants, and does not repeat what was sent."""
    refused = refusal(rule, text)

    assert refused is not None
    assert (refused.http_status, refused.param) == (400, "f")
    assert message in refused.message


@pytest.mark.parametrize(
    ("rule", "text", "place"),
    [
        ({"type": "array", "items": ADDRESS}, '["https://a.b/c", "https://a.b/c", "c"]', "f[2]"),
        ({"type": "array", "items": ADDRESS}, "[null]", "f[0]"),
        (PARAMS, "{}", "f.orientation"),
        (PARAMS, '{"orientation": null}', "f.orientation"),
        (PARAMS, '{"orientation": "left"}', "f.orientation"),
        (PARAMS, '{"orientation": "image", "shots": {}}', "f.shots"),
        (PARAMS, '{"orientation": "image", "shots": [{}, {"index": "1"}]}', "f.shots[1].index"),
    ],
)
def test_a_refusal_names_the_place(rule: dict[str, Any], text: str, place: str) -> None:
    """Of several values, or inside an object, the one that is wrong."""
    refused = refusal(rule, text)

    assert refused is not None
    assert refused.param == place
    assert place in refused.message


@pytest.mark.parametrize(
    "text",
    [
        '"https://example.com"',
        '"HTTP://example.com/a.jpg?b=c#d"',
        '"https://example.com/видео.jpg"',
        '"data:image/png;base64,iVBORw0KGgo="',
        '"asset://asset-20260101"',
        '"http://10.0.0.1/a.jpg"',
    ],
)
def test_any_absolute_address_passes(text: str) -> None:
    """The vendor takes more than public URLs here, and it is the vendor who opens them."""
    assert refusal(ADDRESS, text) is None


@pytest.mark.parametrize(
    "text",
    [
        '""',
        '"example.com/a.jpg"',
        '"//example.com/a"',
        '"https://"',
        '"https:a"',
        '"http:///a"',
        '"https://a b.example.com"',
        '"https://example.com/\\n"',
        '"https:\\\\\\\\example.com"',
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Paths, names without a scheme, and characters that no address holds."""
    refused = refusal(ADDRESS, text)

    assert refused is not None
    assert refused.param == "f"


def test_a_field_is_required_only_where_its_rule_says_so() -> None:
    """Absent and null are the same."""
    optional, required = catalogue_of(WHOLE), catalogue_of(WHOLE, required=True)

    for raw in (b'{"model": "m"}', b'{"model": "m", "f": null}'):
        assert check_create(raw, optional).model.name == "m"
        with pytest.raises(InvalidRequest, match="f is required") as caught:
            check_create(raw, required)
        assert caught.value.param == "f"


@pytest.mark.parametrize("raw", [b'{"model": "m"}', b'{"model": "m", "f": "x", "g": [1]}'])
def test_a_rule_that_is_not_enforced_is_silent(raw: bytes) -> None:
    """Neither presence nor type nor limits are looked at."""
    catalogue = catalogue_of(WHOLE, required=True, enforced=False)

    assert check_create(raw, catalogue).model.name == "m"


def test_a_default_is_never_put_in() -> None:
    """It tells the reader what the vendor does; the vendor does it."""
    wanted = check_create(b'{"model": "m"}', catalogue_of(WHOLE, default=5))

    assert wanted.vendor_body == '{"model":"m"}'


@given(number=st.integers(-(10**15), 10**15), zeros=st.integers(0, 20))
def test_a_whole_number_is_one_in_every_spelling(number: int, zeros: int) -> None:
    """As JSON has it: 10, 10.00 and 100e-1 are equal."""
    rule = {"type": "integer", "enum": [number]}

    assert refusal(rule, f"{number}.{'0' * (zeros + 1)}") is None
    assert refusal(rule, f"{number * 10**zeros}e-{zeros}") is None
    assert refusal(rule, f"{number}.{'0' * zeros}1") is not None
