"""What operators may say of a doubt, and what must come with it."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from app.domain.resolution import CallingOff, Resolution, Verb, unfit
from app.domain.task import FINAL, TaskState
from app.domain.tenant import Refused

VENDOR_ID = "task-unified-1767917446-abcdef"
GOOD = [
    {"as": "accepted", "vendor_id": VENDOR_ID},
    {"as": "rejected"},
    {"as": "written_off"},
    {"as": "corrected", "credits": "0.1"},
    {"as": "corrected", "credits": "0"},
    {"as": "accepted", "vendor_id": VENDOR_ID, "unseen": True},
    {"as": "rejected", "vendor_id": None, "credits": None, "unseen": None},
]


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_each_way_of_resolving_is_read(given: dict[str, Any]) -> None:
    """With what it needs and with nothing else; null means that nothing is given."""
    found = Resolution.read(given | {"reason": "seen in the console"})

    assert found.how == given["as"]
    assert found.vendor_id == given.get("vendor_id")
    assert found.unseen is bool(given.get("unseen"))
    assert (found.credits is None) == (given.get("credits") is None)


def test_credits_are_exact() -> None:
    """A tenth of a credit is a hundred thousand of its millionths."""
    found = Resolution.read({"as": "corrected", "credits": "0.1", "reason": "their invoice"})

    assert found.credits == 100_000


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "as"),
        ({"as": "lost"}, "as"),
        ({"as": "accepted"}, "vendor_id"),
        ({"as": "rejected", "vendor_id": VENDOR_ID}, "vendor_id"),
        ({"as": "corrected"}, "credits"),
        ({"as": "written_off", "credits": "1"}, "credits"),
        ({"as": "corrected", "credits": "-0.1"}, "credits"),
        ({"as": "corrected", "credits": 0.1}, "credits"),
        ({"as": "corrected", "credits": "0.0000001"}, "credits"),
        ({"as": "accepted", "vendor_id": "task-1"}, "vendor_id"),
        ({"as": "accepted", "vendor_id": "task-unified-../x"}, "vendor_id"),
        ({"as": "accepted", "vendor_id": "task-unified-" + "x" * 188}, "vendor_id"),
        ({"as": "accepted", "vendor_id": VENDOR_ID, "unseen": "yes"}, "unseen"),
        ({"as": "accepted", "vendor_id": VENDOR_ID, "unseen": 1}, "unseen"),
        ({"as": "rejected", "unseen": True}, "unseen"),
        ({"as": "rejected", "by": "me"}, "by"),
        ({"how": "rejected"}, "as"),
        ({"as": "rejected", "how": "rejected"}, "how"),
        ({"as": "rejected", "reason": "half of a pair \udc80"}, "reason"),
        ({"as": "rejected", "reason": ""}, "reason"),
        ({"as": "rejected", "reason": "ab"}, "reason"),
        ({"as": "rejected", "reason": "x" * 501}, "reason"),
        ({"as": "rejected", "reason": "two\nlines"}, "reason"),
        ({"as": "rejected", "reason": None}, "reason"),
    ],
    ids=str,
)
def test_what_breaks_a_rule_is_refused_by_name(given: dict[str, Any], param: str) -> None:
    """The place is named, so that it can be mended."""
    with pytest.raises(Refused) as refusal:
        Resolution.read({"reason": "seen in the console", **given})

    assert refusal.value.param == param


@pytest.mark.parametrize("given", [None, [], "rejected", 5])
def test_anything_but_an_object_is_refused(given: Any) -> None:
    """A body of another kind says nothing."""
    with pytest.raises(Refused):
        Resolution.read(given)


def test_known_names_are_told_as_they_are_written() -> None:
    """Not as the program calls them."""
    with pytest.raises(Refused, match=r"known are as, credits, reason, unseen, vendor_id$"):
        Resolution.read({"as": "rejected", "reason": "because", "by": "me"})


@pytest.mark.parametrize(("how", "state"), list(product(get_args(Verb), TaskState)))
def test_each_word_fits_some_states_and_no_others(how: Verb, state: TaskState) -> None:
    """An end is for what is open at the vendor, a correction for what has ended."""
    open_there = state in {TaskState.IN_DOUBT, TaskState.SUBMITTED, TaskState.WATCHING}

    why_not = unfit(how, state)

    assert (why_not == "") is (state in FINAL if how == "corrected" else open_there)
    assert why_not == "" or why_not.startswith(f"as: the task is {state}")


def test_a_task_is_called_off_with_a_reason() -> None:
    """And with nothing else."""
    assert CallingOff.read({"reason": "asked by telephone"}).reason == "asked by telephone"
    for given, param in (
        ({}, "reason"),
        ({"reason": None}, "reason"),
        ({"reason": "no"}, "reason"),
        ({"reason": "because", "as": "rejected"}, "as"),
    ):
        with pytest.raises(Refused) as refusal:
            CallingOff.read(given)
        assert refusal.value.param == param
