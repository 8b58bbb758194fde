"""A create body: what is demanded of it, what is left alone, and what goes to the vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.requests import CreateRequest, check_create
from app.errors import InvalidRequest, MalformedJson, ModelNotFound
from tests.domain.samples import CATALOGUE, MODEL, REQUEST


def checked_body(**fields: Any) -> CreateRequest:
    """Check the documented request with some fields changed."""
    return check_create(json.dumps(REQUEST | fields).encode(), CATALOGUE)


def refusal(raw: bytes) -> InvalidRequest:
    """Return how a body is refused."""
    with pytest.raises(InvalidRequest) as caught:
        check_create(raw, CATALOGUE)
    return caught.value


def body_without(*names: str, **fields: Any) -> bytes:
    """Return the documented request, changed and shortened."""
    left = {name: value for name, value in REQUEST.items() if name not in names}
    return json.dumps(left | fields).encode()


def test_the_documented_request_goes_to_the_vendor_as_it_is():
    """Nothing is added and nothing lost."""
    request = checked_body()

    assert request.model is MODEL
    assert json.loads(request.vendor_body) == REQUEST


@pytest.mark.parametrize(
    "raw", [body_without("timestamps"), body_without(timestamps=None)], ids=["absent", "null"]
)
def test_time_points_are_left_to_the_vendor(raw):
    """Their default is the vendor's: none is put in."""
    sent = json.loads(check_create(raw, CATALOGUE).vendor_body)

    assert sent.get("timestamps") is None


@pytest.mark.parametrize("value", [None, "", 1, 1.5, True, [], ["sora-character"], {"a": 1}])
def test_a_model_must_be_named(value):
    """Anything but a string that says something is refused, with `param`."""
    refused = refusal(body_without(model=value))

    assert (refused.http_status, refused.param) == (400, "model")


def test_an_absent_model_is_refused():
    """The vendor's schema has a default and still demands it."""
    assert refusal(body_without("model")).param == "model"


@pytest.mark.parametrize(
    "name", ["sora-9", "Sora-Character", " sora-character", "sora-character\n", "models", "é" * 999]
)
def test_an_unknown_model_is_not_found(name):
    """Names are compared exactly."""
    with pytest.raises(ModelNotFound) as caught:
        check_create(body_without(model=name), CATALOGUE)

    assert (caught.value.http_status, caught.value.param) == (404, "model")


@pytest.mark.parametrize(
    "raw", [body_without("video_url"), body_without(video_url=None)], ids=["absent", "null"]
)
def test_a_video_is_required(raw):
    """Null is the same as absent."""
    refused = refusal(raw)

    assert (refused.http_status, refused.param) == (400, "video_url")
    assert "required" in refused.message


@pytest.mark.parametrize("field", ["video_url", "timestamps"])
@pytest.mark.parametrize("value", [0, 1, 1.5, True, False, [], ["1,3"], {}, {"url": "x"}])
def test_a_field_of_the_wrong_type_is_refused(field, value):
    """Numbers and lists are not read as strings, and falsy ones are not taken for absent."""
    refused = refusal(body_without(**{field: value}))

    assert (refused.http_status, refused.param) == (400, field)


@pytest.mark.parametrize("field", ["video_url", "timestamps"])
def test_an_empty_field_is_not_an_absent_one(field):
    """An empty string is a value, and a wrong one."""
    assert refusal(body_without(**{field: ""})).param == field


def test_a_body_that_is_not_strict_json_is_refused():
    """A name that stands twice could hide a field from one of two readers."""
    raw = b'{"model": "sora-character", "video_url": "https://example.com/a.mp4", "model": "x"}'

    with pytest.raises(MalformedJson):
        check_create(raw, CATALOGUE)


def test_unknown_fields_are_forwarded():
    """Callers send them, and the vendor may know them; numbers keep their digits."""
    raw = body_without("timestamps")[:-1] + b', "x": {"y": [1.50, 1e2, null]}, "n": 1.0}'

    sent = check_create(raw, CATALOGUE).vendor_body

    assert '"x":{"y":[1.50,1e2,null]}' in sent
    assert '"n":1.0' in sent


def test_an_empty_callback_url_is_stripped():
    """The vendor never gets one, not even a null."""
    request = checked_body(callback_url=None)

    assert json.loads(request.vendor_body) == REQUEST


def test_the_fingerprint_ignores_spelling_alone():
    """The same request in another order is the same; one more field is another."""
    backwards = json.dumps(dict(reversed(REQUEST.items())), indent=2).encode()

    assert check_create(backwards, CATALOGUE).fingerprint == checked_body().fingerprint
    assert checked_body(seed=1).fingerprint != checked_body().fingerprint
    assert checked_body(seed=1).fingerprint == checked_body(seed=1.0).fingerprint
    assert checked_body(timestamps="1,3 ").fingerprint != checked_body().fingerprint
