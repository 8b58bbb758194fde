"""What a create's body must be before anybody looks at what it says."""

from __future__ import annotations

import pytest

from tests.api.asking import post_bytes
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed

START = b'{"model":"sora-character","video_url":"https://example.com/video.mp4"'


def body_with(member: bytes) -> bytes:
    """Return a body that is right but for one more member."""
    return START + b"," + member + b"}"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty"),
        (b" \r\n\t ", "empty"),
        (b"[]", "JSON object"),
        (b"1", "JSON object"),
        (b'"text"', "JSON object"),
        (b"null", "JSON object"),
        (b"{", "line 1, column 2"),
        (START, "line 1, column"),
        (START + b"} x", "Extra data"),
        (body_with(b'"a":1,'), "line 1, column"),
        (body_with(b"'a':1"), "line 1, column"),
        (body_with(b'"a":01'), "line 1, column"),
        (body_with(b'"a":+1'), "line 1, column"),
        (body_with(b'"a":.5'), "line 1, column"),
        (body_with(b'"a":0x10'), "line 1, column"),
        (body_with(b'"a":True'), "line 1, column"),
        (body_with(b'"a":1 /* one */'), "line 1, column"),
        (body_with(b'"a":"\n"'), "ontrol character"),
        (body_with(b'"a":"\\x41"'), "line 1, column"),
        (body_with(b'"a":NaN'), "NaN"),
        (body_with(b'"a":Infinity'), "Infinity"),
        (body_with(b'"a":-Infinity'), "-Infinity"),
        (body_with(b'"a":1e400'), "range of a double"),
        (body_with(b'"a":-1e400'), "range of a double"),
        (body_with(b'"a":' + b"1" * 65), "64 characters"),
        (body_with(b'"a":0.' + b"0" * 64), "64 characters"),
        (body_with(b'"a":1,"a":1'), "stands twice"),
        (body_with(b'"model":"sora-character"'), "stands twice"),
        (body_with(b'"a":{"b":1,"\\u0062":2}'), "stands twice"),
        (body_with(b'"a":"\\ud800"'), "surrogate"),
        (body_with(b'"a":["\\udfff"]'), "surrogate"),
        (body_with(b'"\\ud800":1'), "surrogate"),
        (body_with(b'"a":"\xff"'), "not UTF-8"),
        (body_with(b'"a":"\xed\xa0\x80"'), "not UTF-8"),
        (body_with(b'"a":"\xc0\x80"'), "not UTF-8"),
        ((START + b"}").decode().encode("utf-16"), "not UTF-8"),
        ((START + b"}").decode().encode("utf-8-sig"), "byte order mark"),
        (body_with(b'"a":' + b"[" * 32 + b"]" * 32), "32 levels"),
        (body_with(b'"a":' + b'{"a":' * 32 + b"1" + b"}" * 32), "32 levels"),
        (body_with(b'"a":' + b"[" * 90_000 + b"]" * 90_000), "32 levels"),
        (b"[" * 90_000, "32 levels"),
        (b"[" * 1_000_000, "100000 names and values"),
        (body_with(b'"a":[' + b"1," * 100_000 + b"1]"), "100000 names and values"),
        (body_with(b'"a":1e10000'), "exponent of more than 4 digits"),
        (b"\x00", "line 1, column 1"),
        (b"model=sora-character", "line 1, column 1"),
    ],
    ids=lambda value: value[-24:].decode("latin-1") if isinstance(value, bytes) else value,
)
async def test_a_body_that_is_not_strict_json_is_refused(
    bed: Bed, content: bytes, rule: str
) -> None:
    """The message names the rule that was broken, and nothing reaches the vendor."""
    answer = await post_bytes(bed, await bed.key(), content)

    assert answer.status_code == 400
    assert error_of(answer)["reason"] == "malformed_json"
    assert rule in error_of(answer)["message"]
    assert bed.vendor.journal() == []


@pytest.mark.parametrize(
    "member",
    [
        b'"a":' + b"[" * 31 + b"]" * 31,
        b'"a":' + b"9" * 64,
        b'"a":1.7976931348623157e308',
        b'"a":"\\ud83d\\ude00"',
        b'"a":"\\u0000"',
        b'"":0',
        b'"a":-0',
        b'"a":null',
    ],
)
async def test_what_strict_json_allows_is_taken(bed: Bed, member: bytes) -> None:
    """The limits are the ones that were promised, not one less."""
    answer = await post_bytes(bed, await bed.key(), body_with(member))

    assert answer.status_code == 200, answer.text
    assert len(bed.vendor.creates()) == 1


async def test_a_value_that_is_named_is_not_quoted_at_length(bed: Bed) -> None:
    """A name of a thousand characters, given twice, is cut in the answer."""
    name = b'"' + b"n" * 1000 + b'":0'

    answer = await post_bytes(bed, await bed.key(), body_with(name + b"," + name))

    assert len(error_of(answer)["message"]) < 200
    assert len(error_of(answer)["param"]) <= 64


@pytest.mark.parametrize(
    "declared",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/problem+json",
        "application/json, text/plain",
        "application",
        "*/*",
        "",
    ],
)
async def test_a_body_that_is_not_declared_as_json_is_refused(bed: Bed, declared: str) -> None:
    """A form, or anything else, is not read as JSON, however much it looks like it."""
    answer = await post_bytes(bed, await bed.key(), START + b"}", ("content-type", declared))

    assert answer.status_code == 415
    assert error_of(answer)["reason"] == "unsupported_media_type"
    assert bed.vendor.journal() == []


async def test_a_body_that_is_not_declared_at_all_is_refused(bed: Bed) -> None:
    """Without a content type there is no saying what was meant."""
    key = await bed.key()
    answer = await bed.http.post(
        "/v1/videos/generations", content=START + b"}", headers={"authorization": f"Bearer {key}"}
    )

    assert error_of(answer)["reason"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "declared",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;",
    ],
)
async def test_json_is_recognised_however_it_is_written(bed: Bed, declared: str) -> None:
    """Case and parameters of the media type make no difference."""
    answer = await post_bytes(bed, await bed.key(), START + b"}", ("content-type", declared))

    assert answer.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP", "identity, gzip", "zstd"])
async def test_a_body_declared_as_compressed_is_refused(bed: Bed, coding: str) -> None:
    """Even where it is not: nothing is unpacked, and the answer says to send it as it is."""
    coded = ("content-encoding", coding)
    answer = await post_bytes(bed, await bed.key(), START + b"}", coded)

    assert answer.status_code == 415
    assert error_of(answer)["reason"] == "unsupported_media_type"
    assert "uncompressed" in error_of(answer)["message"]
    assert bed.vendor.journal() == []


async def test_a_body_declared_as_it_is_is_taken(bed: Bed) -> None:
    """`identity` is the word for a body that nothing was done to."""
    coded = ("content-encoding", "Identity")
    answer = await post_bytes(bed, await bed.key(), START + b"}", coded)

    assert answer.status_code == 200


async def test_the_size_limit_is_exact(open_gateway_bed: OpenBed) -> None:
    """A body of as many bytes as are read is taken, and one byte more is refused."""
    async with open_gateway_bed(max_body_bytes=1024) as bed:
        key = await bed.key()
        exact = (START + b"}").ljust(1024)
        taken = await post_bytes(bed, key, exact)
        refused = await post_bytes(bed, key, exact + b" ")

    assert taken.status_code == 200
    assert error_of(refused)["reason"] == "request_too_large"
    assert "1024 bytes" in error_of(refused)["message"]


async def test_the_key_is_looked_at_before_the_body(bed: Bed) -> None:
    """Whoever has no key learns nothing about what a body must be."""
    answer = await post_bytes(bed, "nobody", b"{", ("content-type", "text/plain"))

    assert error_of(answer)["reason"] == "invalid_key"
