"""Every rule of the shipped catalogue, on both sides of each of its borders."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from app.domain.catalogue import Model
from app.domain.field_rule import ValueRule
from app.domain.requests import EARLIER_TASK_FIELDS, check_create
from app.wiring import built_in_catalogue
from tests.domain.rule_cases import Case, body_of, cases_of, least_body, refused_at

CATALOGUE = built_in_catalogue()
MODELS = list(CATALOGUE.models.values())
ENFORCED = [model for model in MODELS if any(rule.enforced for rule in model.fields.values())]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def cases(model: Model, *, enforced: bool) -> Iterator[Case]:
    """Return the cases of all rules of a model that are enforced, or of all that are not."""
    for name, rule in model.fields.items():
        if rule.enforced is enforced:
            yield from cases_of(rule, (name,))


def rules_of(model: Model) -> Iterator[ValueRule]:
    """Return all rules of a model, those inside others included."""
    waiting: list[ValueRule] = list(model.fields.values())
    while waiting:
        rule = waiting.pop()
        yield rule
        waiting += [rule.items] if rule.items else []
        waiting += rule.properties.values()


@each_model
def test_the_least_body_of_a_model_passes(model: Model) -> None:
    """What a model demands is enough, and goes to the vendor under the model's name."""
    assert refused_at(least_body(model), CATALOGUE) is None


@each_model
def test_an_enforced_rule_accepts_and_refuses_at_its_borders(model: Model) -> None:
    """Each refusal names the place of the value, and nothing else is refused."""
    wrong = [
        (case, found)
        for case in cases(model, enforced=True)
        if (found := refused_at(body_of(case, model), CATALOGUE))
        != (None if case.accepted else case.refused_at)
    ]

    assert wrong == []


@each_model
def test_a_rule_that_is_documentation_refuses_nothing(model: Model) -> None:
    """The vendor's prose may be out of date: it is for the vendor to refuse.

    Fields that name an earlier task are left out: their ids are the gateway's own.
    """
    refused = [
        case
        for case in cases(model, enforced=False)
        if case.place[0] not in EARLIER_TASK_FIELDS
        and refused_at(body_of(case, model), CATALOGUE) is not None
    ]

    assert refused == []


def test_the_cases_are_many() -> None:
    """Neither side of these tests is empty: a slip in making the cases would pass unnoticed."""
    enforced = [case for model in MODELS for case in cases(model, enforced=True)]

    assert len(ENFORCED) == 28
    assert len([case for case in enforced if case.accepted]) > 700
    assert len([case for case in enforced if not case.accepted]) > 700
    assert {"max_length", "cut_at", "min_items", "max_items", "enum", "any_of", "format"} <= {
        key for model in ENFORCED for rule in rules_of(model) for key in rule.model_fields_set
    }


@each_model
def test_a_model_is_enforced_as_a_whole_or_not_at_all(model: Model) -> None:
    """The vendor's page has a schema, or it has not."""
    assert len({rule.enforced for rule in model.fields.values()}) == 1


@pytest.mark.parametrize(
    ("alias", "name"),
    [(alias, model.name) for model in MODELS for alias in model.aliases],
)
def test_an_alias_is_forwarded_as_it_was_spelled(alias: str, name: str) -> None:
    """The vendor knows both names; rules, price and records are those of the model."""
    body = least_body(CATALOGUE.model(name)) | {"model": alias}

    wanted = check_create(json.dumps(body).encode(), CATALOGUE)

    assert wanted.model.name == name
    assert f'"model":"{alias}"' in wanted.vendor_body
