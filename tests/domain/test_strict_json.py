"""Strict JSON: whatever two readers could understand differently is refused; the rest is kept."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.strict_json import (
    MAX_DEPTH,
    MAX_NUMBER_CHARS,
    MAX_VALUES,
    dump,
    parse_object,
    plain,
)
from app.errors import MalformedJson
from tests.support.properties import checked, documents, large_numbers, spelled

SYNTAX = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "half an object": b'{"a": 1',
    "half a string": b'{"a": "',
    "something after it": b'{"a": 1} x',
    "two documents": b'{"a": 1}{"b": 2}',
    "a comma too many": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a bare name": b"{a: 1}",
    "a comment": b'{"a": 1 /* one */}',
    "a line break in a string": b'{"a": "x\ny"}',
    "a NUL in a string": b'{"a": "x\x00y"}',
    "an unknown escape": b'{"a": "\\x41"}',
    "an escape cut short": b'{"a": "\\u00"}',
    "a web page": b"<html></html>",
    "form fields": b"model=sora-character",
}

ENCODINGS = {
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "a surrogate as bytes": b'{"a": "\xed\xa0\x80"}',
    "an overlong slash": b'{"a": "\xc0\xaf"}',
    "beyond Unicode": b'{"a": "\xf4\x90\x80\x80"}',
    "half a character": b'{"a": "\xc3"}',
}

NOT_OBJECTS = {
    "list": b'[{"model": "sora-character"}]',
    "string": b'"model"',
    "number": b"1",
    "null": b"null",
    "boolean": b"true",
}

NUMBERS = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "negative infinity": b"-Infinity",
    "too large": b"1e400",
    "too small": b"-1e400",
    "just too large": b"1.8e308",
    "5000 digits": b"9" * 5000,
    "5000 decimals": b"0." + b"1" * 5000,
    "a character too long": b"1" * (MAX_NUMBER_CHARS + 1),
    "a leading zero": b"01",
    "a plus": b"+1",
    "no whole part": b".5",
    "no decimals": b"1.",
    "hexadecimal": b"0x10",
    "an exponent cut short": b"1e",
    "an underscore": b"1_000",
}

DUPLICATES = {
    rb'{"a": 1, "a": 2}': "a",
    rb'{"a": 1, "b": 2, "a": 1}': "a",
    rb'{"x": {"a": 1, "a": 2}}': "x.a",
    rb'{"x": [{"a": 1}, {"a": 1, "a": 2}]}': "x[1].a",
    rb'{"a": 1, "\u0061": 2}': "a",
    rb'{"x": [{"\u0061": 1, "a": 2}]}': "x[0].a",
}

LONE_SURROGATES = {
    rb'{"a": "\ud800"}': "a",
    rb'{"a": "\udfff"}': "a",
    rb'{"a": "\udc00\ud800"}': "a",
    rb'{"a": "\ud83d\ude00\ud83d"}': "a",
    rb'{"a": ["x", "\ud800"]}': "a[1]",
    rb'{"a": {"b": [{"c": "\udead"}]}}': "a.b[0].c",
    rb'{"\ud800": 1}': "?",
    rb'{"a": {"\udbff": 1}}': "a.?",
}

PLACES = {
    b'{"duration": 1e400}': "duration",
    b'{"x": 1, "model_params": {"x": NaN}}': "model_params.x",
    b'{"image_urls": ["a", "b", "\\ud800"]}': "image_urls[2]",
    b'{"image_urls": ["a", "b,:\\"[{", "\xff"]}': "image_urls[2]",
    b'{"image_urls": [{}, [1, 2], {"a": {"b": 1}, "c": "\xff"}]}': "image_urls[2].c",
    b'{"a": {"b": [1]}, "\xff": 1}': None,
    b'{"a": [-Infinity]}': "a[0]",
    b'{"a": {"' + b"n" * 70 + b'": NaN}}': "a",
    b'{"": NaN}': None,
    b'{"x": [1], "deep": ' + b"[" * 40 + b"]" * 40 + b"}": "deep",
    b'{"x": [1], "deep": ' + b'{"y":' * 9000 + b"1" + b"}" * 9001: "deep",
}


def nested(levels: int, inner: bytes = b"1") -> bytes:
    """Return an object of so many levels, itself and the lists in it counted."""
    return b'{"a":' + b"[" * (levels - 1) + inner + b"]" * (levels - 1) + b"}"


DEPTHS = {
    "a level too many": nested(MAX_DEPTH + 1),
    "objects, a level too many": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    "an empty list too deep": nested(MAX_DEPTH, b"[]"),
    "after shallow neighbours": b'{"x": [[], {}], "y": ' + nested(MAX_DEPTH) + b"}",
    "ninety thousand lists": nested(90_000),
    "ninety thousand lists, never closed": b'{"a":' + b"[" * 90_000,
    "ninety thousand objects": b'{"a":' * 90_000 + b"1" + b"}" * 90_000,
}


def refusal(raw: bytes) -> MalformedJson:
    """Return how `raw` is refused."""
    with pytest.raises(MalformedJson) as caught:
        parse_object(raw)
    return caught.value


def tagged(text: str | bytes) -> Any:
    """Read JSON so that order of names and spelling of numbers are part of the value."""
    return json.loads(
        text,
        parse_int=lambda digits: ("number", digits),
        parse_float=lambda digits: ("number", digits),
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


def told_of(table: dict[str, bytes]) -> Any:
    """Return a parametrisation over a table."""
    return pytest.mark.parametrize("raw", table.values(), ids=table.keys())


@told_of(SYNTAX)
def test_what_is_not_json_is_refused(raw):
    """The message says what is wrong in one printable line, and names no field."""
    refused = refusal(raw)

    assert (refused.http_status, refused.reason) == (400, "malformed_json")
    assert refused.message.isprintable()
    assert refused.param is None


@told_of(ENCODINGS)
def test_only_plain_utf8_is_read(raw):
    """Guessing an encoding would be a second meaning of the same bytes."""
    refused = refusal(raw)

    assert refused.message.isprintable()
    assert refused.param == ("a" if raw.startswith(b'{"a": "') else None)


@told_of(NOT_OBJECTS)
def test_only_an_object_is_a_body(raw):
    """The message shows what one looks like."""
    assert '{"name"' in refusal(raw).message


@told_of(NUMBERS)
@pytest.mark.parametrize("around", [b'{"a": %b}', b'{"a": [0, {"b": %b}]}'], ids=["flat", "nested"])
def test_a_number_that_is_none_everywhere_is_refused(raw, around):
    """Not finite as a double, too long, or not the grammar of JSON."""
    refused = refusal(around % raw)

    assert len(refused.message) < 200
    assert refused.param in ("a", "a[1].b", None)
    assert (refused.param is None) == ("not valid JSON" in refused.message)


@pytest.mark.parametrize(("raw", "place"), DUPLICATES.items())
def test_a_name_stands_once_in_an_object(raw, place):
    """Readers differ on which value counts; the message and `param` name the name."""
    refused = refusal(raw)

    assert refused.param == place
    assert f"{place}: the name stands twice" in refused.message


@pytest.mark.parametrize(("raw", "place"), PLACES.items(), ids=lambda value: str(value)[:40])
def test_a_refusal_names_the_field(raw, place):
    """As a caller writes its path, with what to do instead; what is no name is not told as one."""
    refused = refusal(raw)

    assert refused.param == place
    assert refused.message.startswith(f"{place}: " if place else "the body")
    assert ": " in refused.message.removeprefix(f"{place}: ")


def test_finding_the_field_of_a_bad_byte_is_linear():
    """Quotes and backslashes in any number hold nobody up."""
    raw = b'{"a": "' + rb"\"" * 2_000_000 + b"\xff"
    begun_s = time.thread_time()

    assert refusal(raw).param == "a"
    assert time.thread_time() - begun_s < 1


def test_a_pair_of_surrogates_and_the_character_are_one_name():
    """Two spellings of one name are a duplicate, also outside of ASCII."""
    assert refusal('{"😀": 1, "\\ud83d\\ude00": 2}'.encode()).param == "😀"


def test_one_name_in_different_objects_is_no_duplicate():
    """Only the object it stands in counts."""
    assert parse_object(b'{"a": {"a": [{"a": 1}, {"a": 2}]}}')["a"]["a"][1] == {"a": 2}


@pytest.mark.parametrize(("raw", "place"), LONE_SURROGATES.items())
def test_half_a_surrogate_pair_is_refused(raw, place):
    """It could be neither stored nor sent on; the refusal itself can."""
    refused = refusal(raw)

    assert "surrogate" in refused.message
    assert refused.param == place


@told_of(DEPTHS)
def test_nesting_has_a_limit(raw):
    """However deep, the answer is a refusal and not a crash."""
    message = refusal(raw).message

    assert str(MAX_DEPTH) in message or "not valid JSON" in message


@pytest.mark.parametrize("name", ["\\u0000", "\\u001b[31m", "\\n", "x" * 5000, "\\u2028\\u202e"])
def test_a_refusal_shows_a_name_in_a_form_fit_to_be_shown(name):
    """Names come from outside: control characters stay out of messages and logs, length too."""
    refused = refusal(f'{{"{name}": 1, "{name}": 2}}'.encode())

    assert refused.message.isprintable()
    assert refused.param is not None
    assert refused.param.isprintable()
    assert len(refused.param) <= 64


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b' \n{"a": 1}\r\n',
        nested(MAX_DEPTH),
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b'{"a": ' + b"1" * MAX_NUMBER_CHARS + b"}",
        b'{"a": 1e308, "b": -1.7976931348623157e308}',
        b'{"a": 1e-400}',
        b'{"a": [true, false, null, "", [], {}]}',
        rb'{"a": "\ud83d\ude00", "\ud83d\ude00": 1}',
        rb'{"a": "\u0000\u001f\u007f\u2028"}',
        '{"ключ": "значение", "": "é"}'.encode(),
    ],
)
def test_what_has_one_meaning_passes(raw):
    """Values at the very limits included; written back it is the same JSON."""
    assert tagged(dump(parse_object(raw))) == tagged(raw)


@pytest.mark.parametrize("inner", [b"0,", b"[],", b'"":0,'], ids=["numbers", "lists", "names"])
def test_a_body_holds_so_many_names_and_values(inner):
    """A body of more is refused as a whole, before any of it is read."""
    raw = b'{"x":[{' + inner * MAX_VALUES + b"1}]}"

    assert str(MAX_VALUES) in refusal(raw).message


def test_a_body_of_many_values_passes():
    """The limit is far above what any request needs, and counts punctuation alone."""
    assert len(parse_object(b'{"x":[' + b"0," * (MAX_VALUES - 2) + b"0]}")["x"]) == MAX_VALUES - 1
    assert parse_object(b'{"x":"' + b"A" * 2**20 + b'"}')


fractions = st.builds(
    lambda number, sign, places: sign * number / 10**places,
    large_numbers(40),
    st.sampled_from([-1, 1]),
    st.integers(0, 12),
)


@checked
@given(document=documents(fractions), seed=st.integers(0, 2**32))
def test_written_back_every_number_is_spelled_as_it_came(document, seed):
    """Meaning, order of names and the digits of numbers survive the way through the gateway."""
    text = spelled(document, seed)

    written = dump(parse_object(text.encode()))

    assert tagged(written) == tagged(text)
    assert written.isascii()
    assert dump(parse_object(written.encode())) == written


@checked
@given(
    raw=st.binary(max_size=40)
    | st.text(st.sampled_from('{}[]":,\\u0d8e1-+.N '), max_size=40).map(str.encode)
    | st.text(st.sampled_from('{}[]":,\\u0d8e1-+.N '), max_size=30).map(
        lambda text: f'{{"a": {text}}}'.encode()
    )
)
def test_bytes_are_an_object_or_refused(raw):
    """No input whatever ends in another failure, and what passes is a JSON object."""
    with contextlib.suppress(MalformedJson):
        found = parse_object(raw)

        assert json.loads(dump(found)) == json.loads(raw)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5", 5),
        ("-5", -5),
        ("-0", 0),
        ("5.0", 5),
        ("5e2", 500),
        ("5.50e1", 55),
        ("5.5", 5.5),
        ("1e-2", 0.01),
        ("1e-9999", 0.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("9007199254740993.0", 9007199254740993),
    ],
)
def test_a_plain_number_is_whole_where_its_value_is(written, expected):
    """However it was written; a truth value stays one, and so does a text."""
    raw = f'{{"a": [{written}, {{"b": {written}}}], "c": true, "d": "5", "e": null}}'

    found = plain(parse_object(raw.encode()))

    assert found == {"a": [expected, {"b": expected}], "c": True, "d": "5", "e": None}
    assert [type(found["a"][0]), type(found["a"][1]["b"])] == [type(expected)] * 2
    assert type(found["c"]) is bool


@checked
@given(document=documents(fractions), seed=st.integers(0, 2**32))
def test_a_plain_document_is_of_ordinary_values(document, seed):
    """It means the same as what another reader of JSON makes of it, to a double's exactness."""
    text = spelled(document, seed)

    found = json.dumps(plain(parse_object(text.encode())))

    assert json.loads(found, parse_int=float) == json.loads(text, parse_int=float)


SIZE_BYTES = 4 * 2**20

LARGE = {
    "one long string": b'"' + b"x" * SIZE_BYTES + b'"',
    "numbers": b"[" + b"1," * (SIZE_BYTES // 2) + b"1]",
    "long numbers": b"[" + b"0.12345678901," * (SIZE_BYTES // 14) + b"1]",
    "empty lists": b"[" + b"[]," * (SIZE_BYTES // 3) + b"1]",
    "names": b"{" + b",".join(b'"%x":0' % number for number in range(SIZE_BYTES // 10)) + b"}",
}


@told_of(LARGE)
def test_a_body_cannot_be_made_to_cost_much(raw):
    """A quarter of the largest body, in any shape, holds the event loop for less than a second."""
    body = b'{"a":' + raw + b"}"
    begun_s = time.thread_time()

    with contextlib.suppress(MalformedJson):
        dump(parse_object(body))

    assert time.thread_time() - begun_s < 1
