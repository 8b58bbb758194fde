"""Tenants and limits: read strictly, stored and read back without loss."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.pricing import MAX_CREDITS, format_credits
from app.domain.tenant import TENANT_GROUP, Limits, LimitsRefused, Tenant, TenantLimits
from tests.support.properties import checked

counts = st.none() | st.integers(0, 1_000_000)
credit_texts = st.none() | st.integers(0, MAX_CREDITS * 1_000_000).map(format_credits)
model_names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
written_limits = st.fixed_dictionaries(
    {},
    optional={
        "creates_per_minute": counts,
        "tasks_in_flight": counts,
        "credits_per_day": credit_texts,
        "credits_per_month": credit_texts,
        "models": st.none() | st.lists(model_names, max_size=4),
    },
)


def test_no_limit_is_unlimited():
    """Every limit is there and null."""
    assert Limits.read({}).public() == dict.fromkeys(Limits.model_fields)
    assert not Limits.read({}).spending_is_limited


@checked
@given(written=written_limits)
def test_limits_are_shown_as_they_were_written(written):
    """What an operator reads can be written again and means the same."""
    limits = Limits.read(written)

    assert limits.public() == dict.fromkeys(Limits.model_fields) | written
    assert Limits.read(limits.public()) == limits


@checked
@given(written=written_limits)
def test_limits_survive_the_store(written):
    """The stored form is text alone, and holds every limit exactly."""
    limits = Limits.read(written)

    stored = limits.fields()

    assert all(isinstance(value, str) for value in stored.values())
    assert Limits.of_fields(stored) == limits


def test_no_model_at_all_is_not_every_model():
    """An empty list allows nothing, before and after the store."""
    limits = Limits.read({"models": []})

    assert Limits.of_fields(limits.fields()).models == []


@pytest.mark.parametrize("name", ["a,b", "", ",", "a\n", 5, None])
def test_a_model_in_a_limit_is_one_name(name):
    """A comma in a name would allow two other models; an empty one means nothing."""
    with pytest.raises(LimitsRefused, match=r"limits\.models"):
        Limits.read({"models": [name]})


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({"creates_per_minutes": 1}, "creates_per_minutes"),
        ({"creates_per_minute": -1}, "creates_per_minute"),
        ({"creates_per_minute": 1_000_001}, "creates_per_minute"),
        ({"creates_per_minute": 1.5}, "creates_per_minute"),
        ({"creates_per_minute": "10"}, "creates_per_minute"),
        ({"creates_per_minute": True}, "creates_per_minute"),
        ({"creates_per_minute": [1]}, "creates_per_minute"),
        ({"tasks_in_flight": -1}, "tasks_in_flight"),
        ({"tasks_in_flight": "3"}, "tasks_in_flight"),
        ({"credits_per_day": 5}, "credits_per_"),
        ({"credits_per_day": 0.1}, "credits_per_"),
        ({"credits_per_month": True}, "credits_per_"),
        ({"credits_per_day": "-1"}, "credits_per_day"),
        ({"credits_per_day": "1e3"}, "credits_per_day"),
        ({"credits_per_day": "0.0000001"}, "credits_per_day"),
        ({"credits_per_day": ""}, "credits_per_day"),
        ({"credits_per_month": "99999999999"}, "credits_per_month"),
        ({"credits_per_month": []}, "credits_per_month"),
        ({"models": "sora-character"}, "models"),
        ({"models": {"sora-character": True}}, "models"),
    ],
    ids=str,
)
def test_a_limit_that_makes_no_sense_is_refused(written, named):
    """The message names the limit; nothing is converted and nothing ignored."""
    with pytest.raises(LimitsRefused, match=re.escape(named)):
        Limits.read(written)


@pytest.mark.parametrize("given_limits", [None, [], "unlimited", 5, True])
def test_limits_are_an_object(given_limits):
    """Nothing else is read as limits."""
    with pytest.raises(LimitsRefused, match="object"):
        Limits.read(given_limits)


@pytest.mark.parametrize(
    ("written", "is_limited"),
    [
        ({"credits_per_day": "0"}, True),
        ({"credits_per_month": "10"}, True),
        ({"credits_per_day": None, "credits_per_month": None}, False),
        ({"creates_per_minute": 5, "models": ["a"]}, False),
    ],
    ids=str,
)
def test_spending_is_limited_by_credit_limits_alone(written, is_limited):
    """A limit of zero credits is one too."""
    assert Limits.read(written).spending_is_limited is is_limited


@pytest.mark.parametrize("group", ["default", "a", "7", "Team A", "a.b_c-d", "x" * 64])
def test_a_group_may_be_called_so(group):
    """Letters that need no escaping in the stored answers it is put into."""
    assert Tenant(id="acme", name="Acme", group=group).group == group


@pytest.mark.parametrize(
    "group", ["", " a", "-a", '"', 'a"b', "a\\b", "a\n", "<group>", "a,b", "ä", "x" * 65, "a{b}"]
)
def test_a_group_may_not_be_called_so(group):
    """A quote or backslash would break every answer of the tenant."""
    assert re.fullmatch(TENANT_GROUP, group) is None
    with pytest.raises(ValidationError):
        Tenant(id="acme", name="Acme", group=group)


@pytest.mark.parametrize("tenant_id", ["", "Acme", "a b", "a:b", "-a", "a-", "a" * 64, "a\n"])
def test_a_tenant_is_named_by_a_plain_id(tenant_id):
    """The same rule as for ids in paths."""
    with pytest.raises(ValidationError):
        Tenant(id=tenant_id, name="Acme")


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x00b", "\x7f"])
def test_a_display_name_is_one_printable_line(name):
    """It stands in lists and logs."""
    with pytest.raises(ValidationError):
        Tenant(id="acme", name=name)


def test_a_tenant_is_shown_whole():
    """All that operators set, and no secret; what is not set of `when_…` is shown as it acts."""
    limits: dict[str, Any] = {"credits_per_day": "12.5", "models": ["sora-character"]}
    tenant = Tenant(
        id="acme",
        name="Acme",
        group="studio",
        limits=TenantLimits.read(limits),
        origins=["https://app.example.com"],
    )

    assert tenant.public() == {
        "id": "acme",
        "name": "Acme",
        "group": "studio",
        "disabled": False,
        "limits": dict.fromkeys(TenantLimits.model_fields)
        | {"when_full": "reject", "when_vendor_down": "reject", "when_in_doubt": "charge"}
        | limits,
        "origins": ["https://app.example.com"],
    }
