"""What is recorded of an act: one JSON object on one line, with nothing in it that is empty."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.audit import GATEWAY, Act, ActName, Actor
from tests.support.properties import TEXTS, checked, json_values

AT_MS = 1_795_305_600_999


@pytest.mark.parametrize(
    ("act", "more"),
    [
        (Act(GATEWAY, "tenant.created", "acme", AT_MS), {"actor": "gateway"}),
        (Act(Actor("cli"), "tenant.created", "acme", AT_MS), {"actor": "cli"}),
        (
            Act(Actor("admin", "req-1"), "tenant.created", "acme", AT_MS, "key_1", {"a": None}),
            {"actor": "admin", "request_id": "req-1", "key": "key_1", "detail": {"a": None}},
        ),
    ],
)
def test_an_act_is_recorded_so(act: Act, more: dict[str, object]) -> None:
    """Key and request are left out where there is none; the instant is there twice."""
    entry = json.loads(act.entry())

    assert entry == {
        "at": "2026-11-22T00:00:00Z",
        "at_ms": AT_MS,
        "act": "tenant.created",
        "tenant": "acme",
        "detail": {},
        **more,
    }


@checked
@given(name=st.sampled_from(get_args(ActName)), detail=st.dictionaries(TEXTS, json_values()))
def test_whatever_was_asked_for_is_on_one_line(name: ActName, detail: dict[str, object]) -> None:
    """And reads back as it was."""
    entry = Act(Actor("cli"), name, "acme", AT_MS, detail=detail).entry()

    assert "\n" not in entry
    assert json.loads(entry)["detail"] == detail
    assert json.loads(entry)["act"] == name
