"""Which of the vendor's tasks can be the one that a doubtful send may have made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.catalogue import Catalogue, Model
from app.domain.evidence import CLOCKS_APART_S, is_evidence
from tests.domain.samples import doubtful_task

SEND_S = 60
TASK = replace(doubtful_task(), doubt_ms=doubtful_task().created_ms + 5_000)
ADMITTED_S = TASK.created_ms // 1000
EARLIEST_S = ADMITTED_S - CLOCKS_APART_S
LATEST_S = TASK.doubt_ms // 1000 + SEND_S + CLOCKS_APART_S
MODELS = Catalogue(
    {
        name: Model.model_construct(name=name, aliases=aliases)
        for name, aliases in {
            "sora-character": ("persona",),
            "sora-character-pro": (),
            "veo": ("sora-character-fast",),
        }.items()
    }
)


def proves(
    made_s: int = ADMITTED_S, *, resends: int = 0, vendor_id: str = "", **report: Any
) -> bool:
    """Return whether a task that was made at a second is taken for ours."""
    vendor_id = vendor_id or f"task-unified-{made_s}-abcdef"
    told = {"id": vendor_id, "status": "pending", "model": "sora-character", **report}
    task = replace(TASK, resends=resends)
    return is_evidence(task, MODELS, vendor_id, told, within_ms=SEND_S * 1000)


def test_a_task_of_our_model_and_time_is_ours() -> None:
    """With and without the second that the vendor tells beside its id."""
    assert proves()
    assert proves(created=ADMITTED_S)


@pytest.mark.parametrize(
    ("made_s", "is_ours"),
    [(EARLIEST_S - 1, False), (EARLIEST_S, True), (LATEST_S, True), (LATEST_S + 1, False)],
)
def test_it_was_made_between_the_admission_and_the_end_of_the_send(
    made_s: int, is_ours: bool
) -> None:
    """To the second, half a minute of clocks that differ added."""
    assert proves(made_s) is is_ours
    assert proves(created=made_s) is is_ours


def test_a_task_that_was_sent_again_may_have_been_made_later() -> None:
    """But not before it was admitted."""
    assert proves(LATEST_S + 3600, resends=1)
    assert not proves(EARLIEST_S - 1, resends=1)


def test_a_task_that_waited_in_the_queue_is_dated_by_its_doubt() -> None:
    """An hour in the queue is no reason to disbelieve the vendor."""
    task = replace(TASK, doubt_ms=TASK.created_ms + 3_600_000)
    vendor_id = f"task-unified-{ADMITTED_S + 3600}-abcdef"
    report = {"status": "pending", "model": "sora-character"}

    assert is_evidence(task, MODELS, vendor_id, report, within_ms=SEND_S * 1000)


@pytest.mark.parametrize(
    "told",
    ["sora-character", "persona", "sora-character-beta", "doubao-sora-character"],
)
def test_the_vendor_may_call_the_model_otherwise(told: str) -> None:
    """By an alias, or with something around the name."""
    assert proves(model=told)


@pytest.mark.parametrize(
    "told",
    [
        *("sora-character-pro", "sora-character-fast", "veo", "sora", "xsora-character"),
        *("", None, 5, ["sora-character"]),
    ],
)
def test_a_task_of_another_model_is_not_ours(told: Any) -> None:
    """Neither where the catalogue has that model, nor where nobody knows it."""
    assert not proves(model=told)


@pytest.mark.parametrize("told", ["soon", 1.5, None, True, -1, [ADMITTED_S], 10**30])
def test_a_second_that_is_none_proves_nothing(told: Any) -> None:
    """What cannot be read is not believed."""
    assert not proves(created=told)


@pytest.mark.parametrize("vendor_id", ["task-unified-abc", f"task-{ADMITTED_S}-x", "x"])
def test_an_id_without_a_second_proves_nothing(vendor_id: str) -> None:
    """The time of its making is half the proof."""
    assert not proves(vendor_id=vendor_id)
