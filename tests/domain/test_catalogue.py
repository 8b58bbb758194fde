"""The model list: what the shipped file says, and what a file may not say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.domain.catalogue import read_catalogue
from app.errors import ModelNotFound
from tests.domain.samples import CATALOGUE, MODEL

ENTRY: dict[str, Any] = MODEL.model_dump(exclude={"name", "fields"})


def read_with(**changes: Any) -> Any:
    """Read a catalogue of one model, changed."""
    return read_catalogue({"models": {"m": ENTRY | changes}}).model("m")


def test_the_character_model_is_as_documented():
    """Status, price and the numbers of the published example, each with a source."""
    assert MODEL.model_dump(exclude={"fields"}) | {"status_source": 0, "source": 0} == {
        "name": "sora-character",
        "status": "retired",
        "status_source": 0,
        "object": "video.generation.task",
        "type": "video",
        "billing_rule": "per_call",
        "price": "0.1",
        "units": "credit",
        "price_source": MODEL.price_source,
        "estimated_time_s": 150,
        "video_duration_s": 8,
        "times_source": MODEL.times_source,
        "callback_url_documented": False,
        "source": 0,
    }


def test_the_fields_of_the_character_model_are_as_documented():
    """One required video, optional points within two seconds."""
    video, points = MODEL.fields["video_url"], MODEL.fields["timestamps"]

    assert MODEL.fields.keys() == {"video_url", "timestamps"}
    assert (video.required, video.extensions) == (True, (".mp4", ".mov", ".webm"))
    assert (points.required, points.max_span_s) == (False, "2")


def test_every_number_of_the_catalogue_names_its_source():
    """A rule without a source cannot be checked later."""
    for model in CATALOGUE.models.values():
        sources = [model.source, model.status_source, model.price_source, model.times_source]
        assert all(sources + [rule.source for rule in model.fields.values()])


@pytest.mark.parametrize(("price", "expected"), [("0.1", 100_000), ("7", 7_000_000), ("0", 0)])
def test_a_price_is_exact(price, expected):
    """Credits become whole microcredits."""
    assert read_with(price=price).price_microcredits == expected


def test_an_unknown_price_is_no_price():
    """It is not taken for zero."""
    assert read_with(price="unknown").price_microcredits is None


@pytest.mark.parametrize(
    "change",
    [
        {"status": "gone"},
        {"type": "image"},
        {"billing_rule": "per_month"},
        {"units": "dollar"},
        {"price": "free"},
        {"price": "-1"},
        {"price": "0.0000001"},
        {"price": 0.1},
        {"estimated_time_s": -1},
        {"estimated_time_s": "soon"},
        {"misspelt": 1},
        {"fields": {"a": {"format": "poem", "source": "x"}}},
        {"fields": {"a": {"format": "media_url"}}},
        {"fields": {"a": {"format": "media_url", "source": "x", "max": 1}}},
    ],
    ids=str,
)
def test_a_catalogue_with_a_mistake_is_not_read(change):
    """The start ends, rather than a request."""
    with pytest.raises(ValueError, match=r"\S"):
        read_with(**change)


@pytest.mark.parametrize("missing", ENTRY)
def test_every_property_of_a_model_is_stated(missing):
    """Nothing about a model is a default nobody decided on."""
    entry = {name: value for name, value in ENTRY.items() if name != missing}

    with pytest.raises(ValidationError):
        read_catalogue({"models": {"m": entry}})


@pytest.mark.parametrize("name", ["", "sora", "SORA-CHARACTER", "models"])
def test_a_model_that_is_not_in_the_list_is_not_found(name):
    """Names are exact."""
    with pytest.raises(ModelNotFound):
        CATALOGUE.model(name)
