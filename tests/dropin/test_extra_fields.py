"""Programs that send more than the page of a model lists, because they send it with every model."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dropin.callers import Caller
from tests.support.bed import CHARACTER, Bed

DATA_URL = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUg" * 500
SORA = {"model": "sora-2", "prompt": "a fox"}
ELEMENT = {"model": "kling-v3-motion-control", "prompt": "a fox"}
PICTURES = ["https://example.com/a.jpg", "https://example.com/b.jpg"]

TAKEN: dict[str, dict[str, Any]] = {
    "a field of another model": {**CHARACTER, "duration": 10, "aspect_ratio": "16:9"},
    "a prompt where none is wanted": {**CHARACTER, "prompt": "a fox"},
    "remove_watermark": {**SORA, "remove_watermark": True},
    "remove_watermark of a model without it": {**CHARACTER, "remove_watermark": False},
    "a data URL": {**SORA, "image_urls": [DATA_URL]},
    "several images": {**ELEMENT, "image_urls": PICTURES},
    "empty lists": {**SORA, "image_urls": []},
    "nested options": {**SORA, "model_params": {"multi_shot": True, "x": [1, {"y": None}]}},
    "a field nobody knows": {**SORA, "user": "u-1", "metadata": {"order": 4711}, "n": 1},
    "a field in other letters": {**SORA, "größe": "groß", "提示": "猫", "emoji": "🦊"},
    "numbers of every kind": {**SORA, "seed": 2**53 + 1, "scale": 7.50, "tiny": 1e-7},
}
"""Creates that the vendor takes; the gateway must not be the one that refuses them."""

NULLS: dict[str, dict[str, Any]] = {
    "of the model's own": {**CHARACTER, "timestamps": None},
    "of other models": {**CHARACTER, "prompt": None, "image_urls": None, "duration": None},
    "an address that is not there": {**CHARACTER, "callback_url": None},
}


@pytest.mark.parametrize("what", TAKEN)
async def test_what_a_page_does_not_list_goes_through(bed: Bed, caller: Caller, what: str) -> None:
    """Whole and unchanged: the vendor decides what it makes of it."""
    reply = await caller.create(TAKEN[what])

    assert reply.ok, reply.json
    (heard,) = bed.vendor.creates()
    assert heard["body"] == TAKEN[what]


@pytest.mark.parametrize("what", NULLS)
async def test_null_is_taken_for_nothing(bed: Bed, caller: Caller, what: str) -> None:
    """Programs write every member of their form, filled in or not."""
    reply = await caller.create(NULLS[what])

    assert reply.ok, reply.json
    assert len(bed.vendor.creates()) == 1


async def test_null_does_not_stand_for_what_is_required(bed: Bed, caller: Caller) -> None:
    """Absent it is, and so refused by its name."""
    reply = await caller.create({**CHARACTER, "video_url": None})

    assert reply.status == 400
    assert reply.json["error"]["param"] == "video_url"
    assert bed.vendor.journal() == []


async def test_a_second_image_is_refused_where_the_vendor_refuses_it(
    bed: Bed, caller: Caller
) -> None:
    """The vendor's schema allows one: told at once, by field and limit, and nothing is charged."""
    reply = await caller.create({**SORA, "image_urls": PICTURES})

    assert reply.status == 400
    assert reply.json["error"]["param"] == "image_urls"
    assert "at most 1" in reply.json["error"]["message"]
    assert bed.vendor.journal() == []


async def test_an_image_of_megabytes_goes_through(bed: Bed, caller: Caller) -> None:
    """Data URLs make bodies large; the vendor speaks of four megabytes an image."""
    picture = "data:image/png;base64," + "A" * 5_600_000

    reply = await caller.create({**SORA, "image_urls": [picture]})

    assert reply.ok, reply.json
    (heard,) = bed.vendor.creates()
    assert heard["body_bytes"] > len(picture)


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example.com/hook",
        "https://app.example.com/hook?videoUuid=1f0c&ts=1767917446&sig=a%2Bb%3D",
    ],
)
async def test_a_program_that_waits_to_be_called_is_taken_at_its_word(
    bed: Bed, caller: Caller, address: str
) -> None:
    """Also for the model whose page does not list the field; the vendor never learns of it."""
    reply = await caller.create({**CHARACTER, "callback_url": address})

    assert reply.ok, reply.json
    (heard,) = bed.vendor.creates()
    assert heard["body"] == CHARACTER
