"""What is held for a create: a price of the catalogue and a body, exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalogue import Model, read_catalogue
from app.domain.pricing import MAX_CREDITS, format_credits, quote
from app.domain.strict_json import parse_object
from app.wiring import built_in_catalogue
from tests.support.properties import checked

DURATION = {"type": "integer", "enforced": False, "any_of": [{"min": 4, "max": 30}, {"enum": [-1]}]}
QUALITY = {"type": "string", "enforced": False, "enum": ["480p", "720p"]}
SOUND = {"type": "boolean", "enforced": False}
FIELDS = {"duration": DURATION, "quality": QUALITY, "sound": SOUND}


def model_with(**price: Any) -> Model:
    """Return a model with the fields above and a price."""
    return read_catalogue({"models": {"m": {"fields": FIELDS, **price}}}).model("m")


def held(model: Model, **body: Any) -> str | None:
    """Return the hold for a body in credits, or None where no price is known."""
    amount = quote(model, parse_object(json.dumps(body).encode()))
    return None if amount is None else format_credits(amount)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("sora-character", {}, "0.1"),
        ("sora-2-pro", {"duration": 25}, "69"),
        ("sora-2-preview", {"duration": 4}, "23.04"),
        ("sora-2-preview", {"duration": 8}, "46.08"),
        ("sora-2-preview", {"duration": 12.0}, "69.12"),
        ("sora-2-preview", {}, "69.12"),
        ("sora-2-preview", {"duration": None}, "69.12"),
        ("kling-o1-image-to-video", {"duration": 5}, "40"),
        ("kling-o1-image-to-video", {"duration": 10}, "80"),
        ("kling-o1-image-to-video", {}, "80"),
        ("doubao-seedance-1.0-pro-fast", {"duration": 5, "quality": "480p"}, "2.025"),
        ("doubao-seedance-1.0-pro-fast", {"duration": 12, "quality": "720p"}, "10.8"),
        ("doubao-seedance-1.0-pro-fast", {"quality": "1080p"}, "23.76"),
        ("doubao-seedance-1.0-pro-fast", {"duration": 2}, "3.96"),
        ("doubao-seedance-1.0-pro-fast", {}, "23.76"),
        ("sora-2", {"duration": 10}, None),
        ("seedance-1.5-pro", {"duration": 4}, None),
        ("MiniMax-Hailuo-2.3", {"duration": 6}, None),
        ("veo3.1-fast", {}, None),
    ],
)
def test_the_prices_of_the_catalogue(name: str, body: dict[str, Any], expected: str | None) -> None:
    """The figures of the vendor's notes; what the body leaves open is held at its dearest."""
    assert held(built_in_catalogue().model(name), **body) == expected


@pytest.mark.parametrize(
    ("price", "body", "expected"),
    [
        ({"price": "7"}, {"duration": 4}, "7"),
        ({"price": "0"}, {}, "0"),
        ({"price": "unknown"}, {}, None),
        ({}, {}, None),
        ({"price_per_second": "1.5"}, {"duration": 4}, "6"),
        ({"price_per_second": "1.5"}, {"duration": 30}, "45"),
        ({"price_per_second": "1.5"}, {}, "45"),
        ({"price_per_second": "1.5"}, {"duration": None}, "45"),
        ({"price_per_second": "1.5"}, {"duration": -1}, "45"),
        ({"price_per_second": "1.5"}, {"duration": 0}, "45"),
        ({"price_per_second": "1.5"}, {"duration": "4"}, "45"),
        ({"price_per_second": "1.5"}, {"duration": True}, "45"),
        ({"price_per_second": "1.5"}, {"duration": [4]}, "45"),
        # A length the model does not list: never less than its shortest, and what was asked for.
        ({"price_per_second": "1.5"}, {"duration": 0.001}, "6"),
        ({"price_per_second": "1.5"}, {"duration": 5.5}, "8.25"),
        ({"price_per_second": "1.5"}, {"duration": 60}, "90"),
        ({"price_per_second": "1.5"}, {"duration": 3600}, "5400"),
        ({"price_per_second": "1.5"}, {"duration": 3601}, None),
        ({"price_per_second": "1.5"}, {"duration": 1e300}, None),
        # Parts of a microcredit are held as a whole one.
        ({"price_per_second": "0.000001"}, {"duration": 4.5}, "0.000005"),
        ({"price_per_second": "1.5", "longest_s": 10}, {}, "15"),
        ({"price_by": {"quality": {"480p": "1", "720p": "2"}}}, {"quality": "480p"}, "1"),
        ({"price_by": {"quality": {"480p": "1", "720p": "2"}}}, {"quality": "480P"}, "2"),
        ({"price_by": {"quality": {"480p": "3", "720p": "2"}}}, {"quality": 480}, "3"),
        ({"price_by": {"duration": {"4": "1", "-1": "9"}}}, {"duration": 4}, "1"),
        ({"price_by": {"duration": {"4": "1", "-1": "9"}}}, {"duration": -1.0}, "9"),
        ({"price_by": {"duration": {"4": "1", "8": "9"}}}, {"duration": 6}, "9"),
        ({"price_by": {"sound": {"true": "2", "false": "1"}}}, {"sound": False}, "1"),
        ({"price_by": {"sound": {"true": "2", "false": "1"}}}, {"sound": True}, "2"),
        ({"price_by": {"sound": {"true": "2", "false": "1"}}}, {}, "2"),
        ({"price_per_second_by": {"sound": {"true": "2", "false": "1"}}}, {"duration": 5}, "10"),
        (
            {"price_per_second_by": {"sound": {"true": "2", "false": "1"}}},
            {"duration": 5, "sound": False},
            "5",
        ),
    ],
)
def test_a_hold_is_reckoned_from_price_and_body(
    price: dict[str, Any], body: dict[str, Any], expected: str | None
) -> None:
    """What is not named, or not in the list, costs the most it can cost."""
    assert held(model_with(**price), **body) == expected


def test_a_field_the_model_does_not_have_changes_no_price() -> None:
    """The vendor ignores it; a caller could otherwise choose a price."""
    model = read_catalogue({"models": {"m": {"price_per_second": "2", "longest_s": 35}}}).model("m")

    assert held(model, duration=1) == "70"


def test_more_than_can_be_handled_is_no_price() -> None:
    """A hold must stay exact in every place it is counted."""
    model = model_with(price_per_second=str(MAX_CREDITS // 4))

    assert held(model, duration=4) == str(MAX_CREDITS)
    assert held(model, duration=5) is None


@checked
@given(
    micros=st.integers(0, 10**9),
    duration=st.integers(4, 30),
    zeros=st.integers(1, 10),
)
def test_seconds_are_multiplied_exactly(micros: int, duration: int, zeros: int) -> None:
    """Whole seconds of whole microcredits lose nothing, however the seconds are spelled."""
    model = model_with(price_per_second=format_credits(micros))

    for spelled in (
        f"{duration}",
        f"{duration}.{'0' * zeros}",
        f"{duration}{'0' * zeros}e-{zeros}",
    ):
        body = parse_object(b'{"duration": ' + spelled.encode() + b"}")
        assert quote(model, body) == micros * duration
