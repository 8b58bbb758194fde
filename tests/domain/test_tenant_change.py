"""Tenants as operators write them: created with defaults, changed by what is named alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.tenant import Limits, Refused, Tenant, TenantChange, TenantLimits
from tests.support.properties import checked

COUNTS = ("creates_per_minute", "reads_per_second", "tasks_in_flight", "max_queued")
given_limits = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.none() | st.integers(0, 1_000_000) for name in COUNTS},
        "credits_per_day": st.none() | st.sampled_from(["0", "0.1", "12.5"]),
        "credits_per_month": st.none() | st.sampled_from(["0", "0.1", "12.5"]),
        "models": st.none() | st.lists(st.sampled_from(["a", "b c", "d/e"]), max_size=3),
        "when_full": st.none() | st.just("reject"),
        "when_vendor_down": st.none() | st.just("reject"),
    },
)


def merged(before: dict[str, str], change: TenantChange) -> dict[str, str]:
    """Do to stored fields what the store does with a change."""
    kept = {name: value for name, value in before.items() if name not in change.limits.lifted()}
    return kept | change.fields()


@checked
@given(before=given_limits, change=given_limits)
def test_a_change_merges(before: dict[str, Any], change: dict[str, Any]) -> None:
    """A limit that is not named stays, one that is named null is lifted, any other is set."""
    tenant = Tenant.read({"id": "acme", "limits": before})

    after = Tenant.of_fields(merged(tenant.fields(), TenantChange.read({"limits": change})))

    assert after.limits == TenantLimits.read(before | change)
    assert (after.id, after.name, after.group) == ("acme", "acme", "default")


@checked
@given(limits=given_limits)
def test_a_tenants_limits_survive_the_store(limits: dict[str, Any]) -> None:
    """And what operators are shown can be written again and means the same."""
    tenant = Tenant.read({"id": "acme", "limits": limits})

    assert Tenant.of_fields(tenant.fields()) == tenant
    again = TenantLimits.read(tenant.public()["limits"])
    assert again.public() == tenant.public()["limits"]


@pytest.mark.parametrize(
    ("change", "fields", "lifted"),
    [
        ({"name": "Acme"}, {"name": "Acme"}, []),
        ({"group": "films"}, {"group": "films"}, []),
        ({"disabled": True}, {"state": "disabled"}, []),
        ({"disabled": False}, {"state": "active"}, []),
        ({"limits": {}}, {}, []),
        ({"limits": {"models": None}}, {}, ["models"]),
        ({"limits": {"models": []}}, {"models": ","}, []),
        ({"limits": {"tasks_in_flight": 0}}, {"tasks_in_flight": "0"}, []),
        ({"limits": {"credits_per_day": "0.5"}}, {"credits_per_day": "500000"}, []),
        (
            {"name": "n", "limits": {"when_full": None, "max_queued": None}},
            {"name": "n"},
            ["max_queued", "when_full"],
        ),
    ],
    ids=str,
)
def test_only_what_is_named_is_changed(
    change: dict[str, Any], fields: dict[str, str], lifted: list[str]
) -> None:
    """Nought and an empty list are values; only null takes a limit away."""
    found = TenantChange.read(change)

    assert found.fields() == fields
    assert found.limits.lifted() == lifted
    assert found.public() == change


@pytest.mark.parametrize(
    ("change", "param", "rule"),
    [
        ({}, "body", "name, group, disabled, limits"),
        ([], "body", "object"),
        (None, "body", "object"),
        ({"id": "other"}, "id", "known are disabled, group, limits, name"),
        ({"nam": "x"}, "nam", "known are"),
        ({"name": None}, "name", "not be null: leave it out to keep it"),
        ({"name": ""}, "name", "1 to 200"),
        ({"name": "a\nstate\ndisabled"}, "name", "control characters"),
        ({"group": None}, "group", "leave it out to keep it"),
        ({"group": 'a"b'}, "group", "1 to 64"),
        ({"disabled": None}, "disabled", "leave it out to keep it"),
        ({"disabled": "true"}, "disabled", "boolean"),
        ({"disabled": 1}, "disabled", "boolean"),
        ({"limits": None}, "limits", "leave it out to keep it"),
        ({"limits": []}, "limits", "object"),
        ({"limits": {"creates": 1}}, "limits.creates", "creates_per_minute"),
        ({"limits": {"reads_per_second": -1}}, "limits.reads_per_second", "greater"),
        ({"limits": {"reads_per_second": 1_000_001}}, "limits.reads_per_second", "less"),
        ({"limits": {"reads_per_second": 1.5}}, "limits.reads_per_second", "integer"),
        ({"limits": {"tasks_in_flight": True}}, "limits.tasks_in_flight", "integer"),
        ({"limits": {"max_queued": "5"}}, "limits.max_queued", "integer"),
        ({"limits": {"credits_per_day": 5}}, "limits.credits_per_day", "decimal string"),
        ({"limits": {"credits_per_day": True}}, "limits.credits_per_day", "decimal string"),
        ({"limits": {"credits_per_month": "1e3"}}, "limits.credits_per_month", "decimal"),
        ({"limits": {"credits_per_month": "-1"}}, "limits.credits_per_month", "decimal"),
        ({"limits": {"models": "a"}}, "limits.models", "list"),
        ({"limits": {"models": ["a", "b,c"]}}, "limits.models[1]", "name of a model"),
        ({"limits": {"models": [None]}}, "limits.models[0]", "not be null"),
        ({"limits": {"when_full": "drop"}}, "limits.when_full", "reject"),
        ({"limits": {"when_vendor_down": "wait"}}, "limits.when_vendor_down", "queue"),
        ({"limits": {"when_in_doubt": "forget"}}, "limits.when_in_doubt", "charge"),
    ],
    ids=str,
)
def test_a_change_that_breaks_a_rule_is_refused(change: Any, param: str, rule: str) -> None:
    """With the place of what is wrong, and the rule or what to do instead."""
    with pytest.raises(Refused, match=rule) as refused:
        TenantChange.read(change)

    assert refused.value.param == param
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "param", "rule"),
    [
        ({}, "id", "required"),
        ({"name": "Acme"}, "id", "required"),
        ({"id": None}, "id", "required"),
        ({"id": 5}, "id", "string"),
        ({"id": "Acme"}, "id", "a-z 0-9"),
        ({"id": "acme", "key": "x"}, "key", "known are disabled, group, id, limits, name"),
        ({"id": "acme", "limits": {"x": 1}}, "limits.x", "known are"),
        ("acme", "body", "object"),
    ],
    ids=str,
)
def test_a_tenant_that_breaks_a_rule_is_refused(given: Any, param: str, rule: str) -> None:
    """The first thing that is wrong is named."""
    with pytest.raises(Refused, match=rule) as refused:
        Tenant.read(given)

    assert refused.value.param == param


@pytest.mark.parametrize(
    "given", [{"id": "acme"}, {"id": "acme", "name": None, "group": None, "limits": None}]
)
def test_a_tenant_without_more_than_an_id_is_whole(given: dict[str, Any]) -> None:
    """It is called by its id, belongs to the default group, and nothing limits it."""
    assert Tenant.read(given) == Tenant(id="acme", name="acme", group="default", disabled=False)
    assert Tenant.read(given).limits.fields() == {}


@pytest.mark.parametrize("name", ["when_full", "when_vendor_down", "max_queued"])
def test_what_is_a_tenants_alone_is_no_keys(name: str) -> None:
    """A key has numbers and models."""
    assert name in TenantLimits.model_fields
    assert name not in Limits.model_fields
    with pytest.raises(Refused, match=name):
        Limits.read({name: None})
