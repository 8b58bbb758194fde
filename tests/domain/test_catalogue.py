"""The model list: what the shipped file says, and what a file may not say."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import Any

import pytest

from app.domain.catalogue import CatalogueRefused, Model, read_catalogue
from app.domain.rules import check_fields
from app.errors import InvalidRequest, ModelNotFound
from app.wiring import built_in_catalogue

DOCUMENT = tomllib.loads(
    resources.files("app.domain").joinpath("catalogue.toml").read_text("utf-8")
)
CATALOGUE = built_in_catalogue()
MODELS = list(CATALOGUE.models.values())
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)

STATED = {
    *("status", "status_source", "object", "type", "billing_rule", "price_source", "units"),
    *("callback_url_documented", "error_format", "source", "fields"),
}


def problems(entry: dict[str, Any], name: str = "m") -> list[str]:
    """Return what is wrong with a model's table."""
    with pytest.raises(CatalogueRefused) as caught:
        read_catalogue({"models": {name: entry}})
    return caught.value.problems


def problems_of_rule(rule: dict[str, Any]) -> list[str]:
    """Return what is wrong with the rule of a field."""
    return problems({"fields": {"f": {"enforced": True, **rule}}})


def test_every_model_of_the_vendor_is_there() -> None:
    """Sixty-four, of which the vendor is believed to serve all but the Sora family and one more."""
    assert len(MODELS) == 64
    assert {model.name for model in MODELS if model.status == "retired"} == {
        model.name for model in MODELS if model.name.startswith("sora-")
    }
    assert [model.name for model in MODELS if model.status == "unknown"] == ["veo3.1-fast-extend"]


@each_model
def test_every_figure_has_a_source(model: Model) -> None:
    """Nothing about a shipped model is a default nobody decided on, or a figure from nowhere."""
    assert DOCUMENT["models"][model.name].keys() >= STATED
    assert all([model.status_source, model.price_source, model.source])
    assert all(re.fullmatch(r"https://\S+", address) for address in model.source)


def test_the_character_model_is_as_documented() -> None:
    """Status, price and the numbers of the published example."""
    model = CATALOGUE.model("sora-character")
    video, points = model.fields["video_url"], model.fields["timestamps"]

    assert (model.status, model.price, model.units) == ("retired", "0.1", "credit")
    assert (model.object, model.type) == ("video.generation.task", "video")
    assert (model.billing_rule, model.callback_url_documented) == ("per_call", False)
    assert (model.estimated_time_s, model.video_duration_s) == (150, 8)
    assert model.fields.keys() == {"video_url", "timestamps"}
    assert (video.required, video.format, video.enforced) == (True, "media_url", True)
    assert video.extensions == (".mp4", ".mov", ".webm")
    assert (points.required, points.format, points.enforced) == (False, "time_points", True)
    assert (points.max_span_s, points.default) == ("2", "0,2")


def test_only_a_figure_of_known_unit_is_money() -> None:
    """What the vendor shows for other models would be booked a thousandfold, or for nothing."""
    assert [model.name for model in MODELS if model.units == "credit"] == ["sora-character"]


def test_a_placeholder_is_no_price() -> None:
    """The example answers of most pages show the same few figures; they are not prices."""
    assert {model.name for model in MODELS if model.tariff is not None} == {
        "sora-character",
        "sora-2-pro",
        "sora-2-preview",
        "doubao-seedance-1.0-pro-fast",
        "kling-o1-image-to-video",
    }


def test_fields_that_name_earlier_tasks_are_known() -> None:
    """An id of the gateway's own must be translated wherever one may stand."""
    assert {model.name: model.task_id_fields for model in MODELS if model.task_id_fields} == {
        "sora-2-pro-remix": ("base_video_task_id",),
        "seedance-2.5-draft-to-video": ("source_task_id",),
        "veo3.1-fast-extend": ("base_video_task_id",),
    }


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("veo3.1-fast", "veo3.1-fast-beta"),
        ("veo3.1-pro", "veo3.1-pro-beta"),
        ("grok-imagine-text-to-video", "grok-imagine-text-to-video-beta"),
        ("grok-imagine-image-to-video", "grok-imagine-image-to-video-beta"),
    ],
)
def test_an_alias_is_the_model_it_stands_for(alias: str, name: str) -> None:
    """The vendor maps the older name to the newer."""
    assert CATALOGUE.model(alias) is CATALOGUE.model(name)


@pytest.mark.parametrize("name", ["", "sora", "SORA-CHARACTER", "models", "veo3.1-fast-beta "])
def test_a_model_that_is_not_in_the_list_is_not_found(name: str) -> None:
    """Names are exact."""
    with pytest.raises(ModelNotFound):
        CATALOGUE.model(name)


def test_an_unknown_model_can_be_let_through() -> None:
    """It has no rules, no price, and nothing is claimed about it."""
    model = read_catalogue(DOCUMENT, allow_unknown=True).model("brand-new-1.0")

    check_fields({"duration": "long"}, model)
    assert (model.name, model.status, model.units) == ("brand-new-1.0", "unknown", "unknown")
    assert (model.tariff, model.estimated_time_s, model.video_duration_s) == (None, None, None)


@pytest.mark.parametrize("name", ["", "a,b", "a\n", "a b ", "-", "é", "x" * 129, '"', "a\x00b"])
def test_a_name_that_could_be_taken_for_others_is_never_let_through(name: str) -> None:
    """Lists of allowed models are stored with commas, and names are written to logs."""
    with pytest.raises(ModelNotFound):
        read_catalogue(DOCUMENT, allow_unknown=True).model(name)


@pytest.mark.parametrize(
    ("entry", "place", "rule"),
    [
        ({"status": "gone"}, "models.m.status", "'active', 'retired' or 'unknown'"),
        ({"type": "image"}, "models.m.type", "'video'"),
        ({"billing_rule": "per_month"}, "models.m.billing_rule", "'per_second'"),
        ({"units": "dollar"}, "models.m.units", "'credit'"),
        ({"misspelt": 1}, "models.m.misspelt", "not permitted"),
        ({"estimated_time_s": -1}, "models.m.estimated_time_s", "greater than or equal to 0"),
        ({"estimated_time_s": "soon"}, "models.m.estimated_time_s", "integer"),
        ({"callback_url_documented": "yes"}, "models.m.callback_url_documented", "boolean"),
        ({"aliases": "n"}, "models.m.aliases", "tuple"),
        ({"price": "free"}, "models.m.price", "not a credit amount"),
        ({"price": "-1"}, "models.m.price", "not a credit amount"),
        ({"price": "0.0000001"}, "models.m.price", "at most six places"),
        ({"price": 0.1}, "models.m.price", 'write the amount in quotes: "0.1"'),
        ({"price_per_second": 2}, "models.m.price_per_second", 'in quotes: "2"'),
        ({"price_per_second": "unknown"}, "models.m.price_per_second", "not a credit amount"),
        ({"price_per_second": "1"}, "models.m", "longest_s"),
        ({"price_per_second": "1", "longest_s": 4000}, "models.m.longest_s", "3600"),
        ({"price": "1", "price_per_second": "1"}, "models.m", "one of price and price_per_second"),
        ({"price_by": {"quality": {"4k": "1"}}}, "models.m", "no field quality"),
        ({"price_by": {"quality": {}}}, "models.m.price_by.quality", "at least 1"),
        ({"price_by": {"a": {"1": "1"}, "b": {"1": "1"}}}, "models.m", "one field alone"),
        (
            {
                "price_by": {"n": {"one": "1"}},
                "fields": {"n": {"type": "integer", "enforced": True}},
            },
            "models.m",
            "n is a number, so one cannot be a value of it",
        ),
        ({"fields": {"f": {"type": "string"}}}, "models.m.fields.f.enforced", "required"),
        ({"fields": {"f": {"enforced": True}}}, "models.m.fields.f.type", "required"),
        ({"name": "n"}, "models.m", "without a name of its own"),
        ("active", "models.m", "write a table"),
    ],
    ids=str,
)
def test_a_mistake_about_a_model_is_told(entry: Any, place: str, rule: str) -> None:
    """Where it stands, and what is right."""
    (told,) = problems(entry)

    assert told.startswith(f"{place}: ")
    assert rule in told.removeprefix(place)


@pytest.mark.parametrize(
    ("rule", "place", "what"),
    [
        ({"type": "text"}, "type", "'string'"),
        ({"type": "string", "format": "poem"}, "format", "'uri'"),
        ({"type": "string", "max": 1}, "", "max: not for a value of type string"),
        ({"type": "integer", "max_length": 1}, "", "max_length: not for a value of type integer"),
        ({"type": "boolean", "enum": [1]}, "", "enum: not for a value of type boolean"),
        ({"type": "array", "properties": {}}, "", "properties: not for"),
        ({"type": "object", "items": {"type": "string"}}, "", "items: not for"),
        ({"type": "integer", "enum": ["5"]}, "", "not of the type integer"),
        ({"type": "string", "enum": [5]}, "", "not of the type string"),
        ({"type": "integer", "min": 2, "max": 1}, "", "min must not be greater than max"),
        ({"type": "integer", "min": "2"}, "min", "integer"),
        ({"type": "array", "max_items": -1}, "max_items", "greater than or equal to 0"),
        ({"type": "string", "format": "media_url"}, "", "extensions and the format media_url"),
        ({"type": "string", "extensions": [".mp4"]}, "", "extensions and the format media_url"),
        ({"type": "string", "format": "time_points"}, "", "max_span_s and the format time_points"),
        ({"type": "integer", "any_of": [{"min": 2, "max": 1}]}, "any_of.0", "min must not"),
        ({"type": "array", "items": {"type": "string", "max": 1}}, "items", "max: not for"),
        ({"type": "object", "properties": {"a b": {}}}, 'properties."a b".type', "required"),
    ],
    ids=str,
)
def test_a_mistake_in_a_rule_is_told(rule: dict[str, Any], place: str, what: str) -> None:
    """A rule that could never mean what it says ends the start, rather than a request."""
    (told,) = problems_of_rule(rule)

    assert told.startswith(f"models.m.fields.f{'.' if place else ''}{place}: ")
    assert what in told


def test_all_mistakes_are_told_at_once() -> None:
    """An operator corrects a file once."""
    document = {"models": {"a": {"price": "x", "units": "y"}, "b.c": {"status": "z"}}, "more": 1}

    with pytest.raises(CatalogueRefused) as caught:
        read_catalogue(document)

    told = sorted(problem.split(": ")[0] for problem in caught.value.problems)
    assert told == ['models."b.c".status', "models.a.price", "models.a.units", "more"]


@pytest.mark.parametrize(
    "name", ["", "a,b", "a\nb", " a", "-a", "a" * 129], ids=lambda name: repr(name)[:12]
)
def test_a_model_must_have_a_name_that_lists_can_hold(name: str) -> None:
    """Whoever may use which model is stored by name."""
    assert "name" in problems({}, name)[0]


def own(entries: dict[str, Any], below: dict[str, Any] | None = None) -> dict[str, Model]:
    """Return the models of a catalogue with an operator's entries laid over it."""
    document = DOCUMENT if below is None else {"models": below}
    return dict(read_catalogue(document, {"models": entries}).models)


def test_an_operator_prices_a_model() -> None:
    """One line is enough; everything else about the model stays."""
    name = "seedance-2.0-text-to-video"

    models = own({name: {"price_per_second": "3.4"}})

    assert models[name].model_dump(exclude={"price", "price_per_second"}) == CATALOGUE.model(
        name
    ).model_dump(exclude={"price", "price_per_second"})
    assert models[name].price_per_second == "3.4"
    assert len(models) == 64


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"price": "5"}, "5"),
        ({"price": "unknown"}, None),
        ({"price_per_second": "1"}, "12"),
        ({"price_by": {"duration": {"4": "7"}}}, "7"),
        ({"price_per_second_by": {"aspect_ratio": {"16:9": "2"}}}, "24"),
    ],
)
def test_a_price_replaces_whatever_price_there_was(
    price: dict[str, Any], expected: str | None
) -> None:
    """Two price lists for one model would be none."""
    model = own({"sora-2-preview": price})["sora-2-preview"]

    known = {key for key in ("price_by", "price_per_second_by") if getattr(model, key)}
    assert known == price.keys() & {"price_by", "price_per_second_by"}
    assert (model.tariff is None) is (expected is None)


def test_an_operator_adds_a_model() -> None:
    """Whatever is not said is unknown."""
    added = own({"brand-new-1.0": {"price": "12.5"}})["brand-new-1.0"]

    assert (added.price, added.status, added.billing_rule) == ("12.5", "unknown", "unknown")
    assert added.fields == {}


def test_an_operator_changes_a_rule() -> None:
    """Value by value: what is not named stays, and an empty list lifts an enum."""
    changed = {
        "fields": {
            "prompt": {"max_length": 8000},
            "quality": {"enforced": False, "enum": []},
            "seed": {"type": "integer", "enforced": True, "min": 0},
        }
    }

    fields = own({"sora-2-pro": changed})["sora-2-pro"].fields

    assert (fields["prompt"].max_length, fields["prompt"].required) == (8000, True)
    assert (fields["quality"].enforced, fields["quality"].enum) == (False, ())
    assert fields["seed"].min == 0
    assert fields["duration"] == CATALOGUE.model("sora-2-pro").fields["duration"]
    with pytest.raises(InvalidRequest, match="seed"):
        check_fields({"prompt": "x", "seed": "1"}, own({"sora-2-pro": changed})["sora-2-pro"])


def test_laying_over_leaves_the_shipped_list_alone() -> None:
    """Both catalogues can be in use at once."""
    before = read_catalogue(DOCUMENT)

    own({"sora-2-pro": {"status": "active", "fields": {"prompt": {"max_length": 1}}}})

    assert read_catalogue(DOCUMENT) == before


@pytest.mark.parametrize(
    "entries",
    [
        {"veo3.1-fast": {"price": "1"}},
        {"a": {"aliases": ["sora-2"]}},
        {"a": {"aliases": ["n"]}, "b": {"aliases": ["n"]}},
    ],
)
def test_a_name_stands_for_one_model(entries: dict[str, Any]) -> None:
    """An alias that is a model, or belongs to two, would let the price depend on chance."""
    with pytest.raises(CatalogueRefused, match="is an alias of"):
        own(entries)
