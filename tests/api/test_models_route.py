"""The list of models: what each costs and whether it is alive, for those who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.wiring import built_in_catalogue
from tests.api.asking import bearer, get, shown
from tests.conftest import OpenBed
from tests.support.bed import Bed

ALWAYS = {"id", "object", "type", "status", "billing_rule", "aliases", "callback_url_documented"}
PRICES = {"price", "price_per_second", "price_by", "price_per_second_by"}


async def models(bed: Bed, key: str) -> dict[str, dict[str, Any]]:
    """Return the models a key is shown, by name."""
    answer = await shown(bed, key, "/v1/models")
    assert answer.keys() == {"object", "data"}
    assert answer["object"] == "list"
    found = {model["id"]: model for model in answer["data"]}
    assert len(found) == len(answer["data"]), "each model stands there once"
    return found


async def test_all_models_of_the_catalogue_are_shown(bed: Bed) -> None:
    """In its order, each with the same members; only how the price is reckoned differs."""
    found = await models(bed, await bed.key())

    assert list(found) == list(built_in_catalogue().models)
    for name, model in found.items():
        assert model.keys() - {"status_source"} - PRICES == ALWAYS, name
        assert len(model.keys() & PRICES) == 1, f"{name}: one price, or that none is known"
        assert (model["object"], model["type"]) == ("model", "video")
        assert model["status"] in ("active", "retired", "unknown")
        assert model["billing_rule"] in ("per_call", "per_second", "per_token", "unknown")


async def test_a_retired_model_says_so_and_whence_that_is_known(bed: Bed) -> None:
    """Sora is shown, for it is still forwarded; whoever reads the list is warned."""
    found = await models(bed, await bed.key())

    assert found["sora-character"] == {
        "id": "sora-character",
        "object": "model",
        "type": "video",
        "status": "retired",
        "billing_rule": "per_call",
        "price": "0.1",
        "callback_url_documented": False,
        "aliases": [],
        "status_source": built_in_catalogue().models["sora-character"].status_source,
    }
    assert {name for name, model in found.items() if model["status"] == "retired"} == {
        "sora-character",
        "sora-2",
        "sora-2-pro",
        "sora-2-pro-remix",
        "sora-2-preview",
        "sora-2-pro-preview",
        "sora-2-beta-max",
    }
    assert all(
        "2026-09-24" in model["status_source"] for name, model in found.items() if "sora" in name
    )


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("sora-2-pro", {"price": "69"}),
        ("sora-2", {"price": "unknown"}),
        ("kling-o1-image-to-video", {"price_by": {"duration": {"5": "40", "10": "80"}}}),
        (
            "doubao-seedance-1.0-pro-fast",
            {"price_per_second_by": {"quality": {"480p": "0.405", "720p": "0.9", "1080p": "1.98"}}},
        ),
    ],
)
async def test_a_price_is_shown_in_the_form_it_is_reckoned_by(
    bed: Bed, name: str, price: dict[str, Any]
) -> None:
    """Credits as decimal texts; a form that a model has not is not there."""
    model = (await models(bed, await bed.key()))[name]

    assert {form: model[form] for form in model.keys() & PRICES} == price


async def test_other_names_of_a_model_are_shown(bed: Bed) -> None:
    """A model stands in the list once, under its own name."""
    found = await models(bed, await bed.key())

    assert found["veo3.1-fast-beta"]["aliases"] == ["veo3.1-fast"]
    assert "veo3.1-fast" not in found


async def test_only_what_tenant_and_key_both_may_use_is_shown(bed: Bed) -> None:
    """Each of them narrows the list of the other."""
    of_tenant = await bed.key("acme", models=["sora-2", "veo3.1-fast-beta", "sora-character"])
    of_key = await bed.another_key(
        "acme", models=["sora-character", "veo3.1-fast-beta", "videoretalk"]
    )
    of_test = await bed.another_key("acme", mode="test", models=["sora-2"])
    free = await bed.key("hooli")

    assert list(await models(bed, of_tenant)) == ["sora-character", "sora-2", "veo3.1-fast-beta"]
    assert list(await models(bed, of_key)) == ["sora-character", "veo3.1-fast-beta"]
    assert list(await models(bed, of_test)) == ["sora-2"]
    assert len(await models(bed, free)) == len(built_in_catalogue().models)


async def test_what_the_list_hides_a_create_refuses(bed: Bed) -> None:
    """And what it shows, a create takes: both ask the same limits."""
    key = await bed.key(models=["sora-2", "seedance-1.5-pro"])
    told = await models(bed, key)

    for name in ("sora-2", "seedance-1.5-pro", "wan2.5-text-to-video"):
        answer = await bed.create(key, {"model": name, "prompt": "a boat on a lake"})
        assert (answer.status_code == 200) == (name in told), answer.text


@pytest.mark.parametrize("allowed", [[], ["no-such-model"]])
async def test_who_may_use_nothing_is_shown_nothing(bed: Bed, allowed: list[str]) -> None:
    """An empty list, not an error."""
    assert await models(bed, await bed.key(models=allowed)) == {}


async def test_a_change_of_limits_shows_at_once(bed: Bed) -> None:
    """The list is read, not remembered."""
    key = await bed.key()
    await bed.limit("acme", models=["sora-2"])
    narrowed = await models(bed, key)
    await bed.limit("acme", models=None)

    assert list(narrowed) == ["sora-2"]
    assert len(await models(bed, key)) == len(built_in_catalogue().models)


async def test_models_of_the_operators_own_are_shown(
    open_gateway_bed: OpenBed, tmp_path: Path
) -> None:
    """With the operator's price and status, also where they stand over the built-in ones."""
    own = tmp_path / "own.toml"
    own.write_text(
        '[models."house-model"]\nstatus = "active"\nprice_per_second = "1.5"\nlongest_s = 10\n'
        'billing_rule = "per_second"\n[models."sora-2"]\nprice = "3"\nstatus = "active"\n'
        'status_source = "asked the vendor"\n'
    )
    async with open_gateway_bed(catalogue_file=own) as bed:
        found = await models(bed, await bed.key())

    assert found["house-model"] == {
        "id": "house-model",
        "object": "model",
        "type": "video",
        "status": "active",
        "billing_rule": "per_second",
        "price_per_second": "1.5",
        "callback_url_documented": False,
        "aliases": [],
    }
    changed = found["sora-2"]
    assert (changed["price"], changed["status"]) == ("3", "active")
    assert changed["status_source"] == "asked the vendor"


async def test_a_query_changes_nothing(bed: Bed) -> None:
    """Names that mean nothing here are ignored."""
    key = await bed.key()

    plain, queried = [
        await get(bed, key, path) for path in ("/v1/models", "/v1/models?a&a&limit=1")
    ]

    assert queried.content == plain.content
    assert plain.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_the_models_are_only_read(bed: Bed, method: str) -> None:
    """405 with the one method there is."""
    answer = await bed.http.request(method, "/v1/models", headers=[bearer(await bed.key())])

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
