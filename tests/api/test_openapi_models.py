"""The body of a create as the document describes it: what it accepts is what the gateway does."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from app.api.openapi import describe
from app.domain.catalogue import Catalogue, Model, read_catalogue
from app.domain.field_rule import ValueRule
from app.wiring import built_in_catalogue
from tests.conftest import OpenBed
from tests.domain.rule_cases import Case, body_of, cases_of, least_body, refused_at
from tests.support.bed import CHARACTER
from tests.support.schema import judge_of, resolved

CATALOGUE = built_in_catalogue()
MODELS = list(CATALOGUE.models.values())
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)

OWN = {
    "models": {
        "a b": {"fields": {"n": {"type": "number", "enforced": True, "min": 0, "max": 1}}},
        "a/b": {
            "aliases": ["c"],
            "fields": {
                "shots": {
                    "type": "array",
                    "enforced": True,
                    "required": True,
                    "items": {
                        "type": "object",
                        "properties": {"index": {"type": "integer", "required": True}},
                    },
                },
                "size": {"type": "integer", "enforced": True, "any_of": [{"enum": [1, 5]}]},
                "loose": {"type": "integer", "enforced": False, "required": True, "max": 3},
            },
        },
    }
}
"""A catalogue of an operator whose models' names are none that a component can have."""


def described(catalogue: Catalogue) -> dict[str, Any]:
    """Return the document for a catalogue."""
    return describe(
        title="t", version="v", description="d", catalogue=catalogue, with_tenant_routes=True
    )


DOCUMENT = described(CATALOGUE)
CREATE: dict[str, Any] = DOCUMENT["components"]["schemas"]["CreateRequest"]
JUDGE = judge_of(CREATE, DOCUMENT)


def judge_for(catalogue: Catalogue) -> Draft202012Validator:
    """Return the judge of create bodies for a catalogue."""
    document = described(catalogue)
    return judge_of({"$ref": "#/components/schemas/CreateRequest"}, document)


def wrong_cases(model: Model, *, enforced: bool) -> list[tuple[Case, bool]]:
    """Return the cases of a model's rules in which schema and gateway say different things."""
    cases = [
        case
        for name, rule in model.fields.items()
        if rule.enforced is enforced
        for case in cases_of(rule, (name,))
    ]
    judged = [(case, JUDGE.is_valid(body_of(case, model))) for case in cases]
    return [
        (case, accepted)
        for case, accepted in judged
        if accepted is not (refused_at(body_of(case, model), CATALOGUE) is None)
    ]


@each_model
def test_the_least_body_of_a_model_is_as_described(model: Model) -> None:
    """Under the model's own name and under every alias."""
    for name in (model.name, *model.aliases):
        assert JUDGE.is_valid({**least_body(model), "model": name})


@each_model
def test_a_model_is_described_as_strictly_as_it_is_checked(model: Model) -> None:
    """On both sides of every border of its rules, those that are documentation alone included."""
    assert wrong_cases(model, enforced=True) == []
    assert wrong_cases(model, enforced=False) == []


@each_model
def test_the_model_chooses_its_schema(model: Model) -> None:
    """The mapping leads from each of its names to the one schema that has them."""
    mapping = CREATE["discriminator"]["mapping"]

    for name in (model.name, *model.aliases):
        chosen = resolved({"$ref": mapping[name]}, DOCUMENT)
        assert chosen["properties"]["model"]["enum"] == [model.name, *model.aliases]
        assert {"$ref": mapping[name]} in CREATE["oneOf"]


@each_model
def test_what_is_not_checked_is_told_all_the_same(model: Model) -> None:
    """Words and values of a rule that is documentation stand in the description of its field."""
    schema = resolved({"$ref": CREATE["discriminator"]["mapping"][model.name]}, DOCUMENT)
    for name, rule in model.fields.items():
        if not rule.enforced:
            told = schema["properties"][name]["description"]
            assert "Not checked here" in told
            assert all(str(value) in told for value in values_of(rule))


def values_of(rule: ValueRule) -> list[Any]:
    """Return the values and limits that a rule names."""
    listed = [*rule.enum, *rule.numbers(), rule.max_length, rule.min_items, rule.max_items]
    return [value for value in listed if value is not None]


def test_there_is_a_schema_for_every_model_and_no_other() -> None:
    """64 models, each of them once."""
    assert len(CREATE["oneOf"]) == len(MODELS) == 64


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": None},
        {"model": ""},
        {"model": "no-such-model"},
        {"model": "sora-character"},
        {"model": "sora-character", "video_url": None},
        {"model": "sora-character", "video_url": "https://example.com/" + "x" * 8192},
        {**CHARACTER, "callback_url": ["x"]},
        {**CHARACTER, "callback_url": "https://example.com/" + "x" * 2048},
        {**CHARACTER, "source_task_id": 1},
        {**CHARACTER, "base_video_task_id": ["x"]},
        {**CHARACTER, "model_params": {"source_task_id": {}}},
    ],
)
def test_what_no_model_takes_is_described_by_none(body: dict[str, Any]) -> None:
    """A model must be named, be known, and get what it needs."""
    assert not JUDGE.is_valid(body)


def test_fields_that_nobody_knows_are_allowed() -> None:
    """They go to the vendor as they are, and null is absent."""
    nothing = dict.fromkeys(["callback_url", "timestamps", "source_task_id", "y"])

    assert JUDGE.is_valid({**CHARACTER, **nothing, "x": [1], "model_params": 1})
    assert JUDGE.is_valid({**CHARACTER, "model_params": {"source_task_id": "task-unified-1"}})


def test_formats_have_names_that_a_generator_can_be_taught() -> None:
    """What an address or a point in time must be is more than a schema can say."""
    schemas = DOCUMENT["components"]["schemas"]
    character = schemas["CreateRequest.sora-character"]["properties"]

    assert character["video_url"]["format"] == "media-url"
    assert ".mp4, .mov, .webm" in character["video_url"]["description"]
    assert character["timestamps"]["format"] == "time-points"
    assert character["source_task_id"]["format"] == "task-id"
    assert schemas["CreateRequest.sora-2"]["properties"]["image_urls"]["items"]["format"] == "uri"


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        ({"model": "a b", "n": 0.5}, True),
        ({"model": "a b", "n": 1.5}, False),
        ({"model": "a/b", "shots": [{"index": 1}], "size": None}, True),
        ({"model": "c", "shots": [], "size": 5, "loose": "4"}, True),
        ({"model": "c", "shots": [{}]}, False),
        ({"model": "c", "shots": [], "size": 2}, False),
        ({"model": "c"}, False),
        ({"model": "d"}, False),
    ],
)
def test_an_operators_own_models_are_described(body: dict[str, Any], accepted: bool) -> None:
    """Also two whose names differ only in letters that a component's name cannot have."""
    assert judge_for(read_catalogue(OWN)).is_valid(body) is accepted


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        ({"model": "anything.new"}, True),
        ({"model": "anything.new", "callback_url": "https://example.com"}, True),
        ({"model": "anything.new", "callback_url": 1}, False),
        ({"model": " "}, False),
        ({"model": "c", "shots": []}, True),
        ({"model": "c"}, False),
    ],
)
def test_models_that_nobody_knows_are_described_where_they_are_forwarded(
    body: dict[str, Any], accepted: bool
) -> None:
    """But a name that is known goes by its own rules."""
    assert judge_for(read_catalogue(OWN, allow_unknown=True)).is_valid(body) is accepted


async def test_a_gateway_describes_the_models_that_it_serves(
    open_gateway_bed: OpenBed, tmp_path: Any
) -> None:
    """Those of its operator's file are among them."""
    file = tmp_path / "models.toml"
    file.write_text('[models."our-own"]\nprice = "1"\n', "utf-8")

    async with open_gateway_bed(catalogue_file=file, allow_unknown_models=True) as bed:
        document = (await bed.http.get("/openapi.json")).json()

    assert "CreateRequest.our-own" in document["components"]["schemas"]
    assert "CreateRequestOfAnotherModel" in document["components"]["schemas"]
