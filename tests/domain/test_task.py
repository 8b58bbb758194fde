"""The life of a task: which changes there are, and how the vendor's words are read."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.task import (
    ARROWS,
    FINAL,
    Finished,
    ForbiddenArrow,
    Running,
    TaskState,
    check_arrow,
    judge,
)
from tests.support.properties import checked

ALLOWED = {
    ("queued", "sending"),
    ("queued", "cancelled"),
    ("sending", "submitted"),
    ("sending", "rejected"),
    ("sending", "queued"),
    ("sending", "in_doubt"),
    ("in_doubt", "submitted"),
    ("in_doubt", "rejected"),
    ("in_doubt", "written_off"),
    ("submitted", "submitted"),
    ("submitted", "watching"),
    ("submitted", "completed"),
    ("submitted", "failed"),
    ("watching", "watching"),
    ("watching", "completed"),
    ("watching", "failed"),
    ("watching", "written_off"),
    ("watching", "rejected"),
    ("submitted", "written_off"),
    ("submitted", "rejected"),
}

ENDS = {"completed", "failed", "rejected", "cancelled", "written_off"}


def reachable(start: TaskState) -> set[TaskState]:
    """Return every state that a task in `start` may come to, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        new = ARROWS[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize(("before", "after"), list(product(TaskState, TaskState)))
def test_every_pair_of_states_is_an_arrow_or_refused(before, after):
    """The whole table, both ways: what is not drawn cannot happen."""
    if (before.value, after.value) in ALLOWED:
        check_arrow(before, after)
    else:
        with pytest.raises(ForbiddenArrow, match=f"{before.value} -> {after.value}"):
            check_arrow(before, after)


def test_every_state_has_its_arrows_stated():
    """A state that was forgotten in the table would fail at the first change."""
    assert ARROWS.keys() == set(TaskState)


def test_the_ends_are_final():
    """No arrow leads out of them, and only out of them."""
    assert {state.value for state in FINAL} == ENDS


def test_every_state_can_be_reached():
    """From the first one."""
    assert reachable(TaskState.QUEUED) == set(TaskState)


@pytest.mark.parametrize("state", sorted(set(TaskState) - FINAL))
def test_no_state_is_a_trap(state):
    """An end can be reached from everywhere, so every hold is settled or released some day."""
    assert reachable(state) & FINAL


@pytest.mark.parametrize("word", ["completed", "succeeded", "success", "done", "COMPLETED", "Done"])
def test_words_for_success(word):
    """All that clients of the vendor know, in any case."""
    assert judge(word, was_processing=False, used=5) == Finished(succeeded=True, used=5)


@pytest.mark.parametrize("word", ["failed", "error", "cancelled", "canceled", "FAILED", "Canceled"])
def test_words_for_failure(word):
    """A cancelled task is a failed one."""
    assert judge(word, was_processing=True, used=None) == Finished(succeeded=False, used=None)


@pytest.mark.parametrize("word", ["processing", "running", "in_progress", "Processing"])
def test_words_for_work_begun(word):
    """They turn waiting into working."""
    assert judge(word, was_processing=False, used=None) == Running(processing=True)


@pytest.mark.parametrize(
    "word", ["pending", "queued", "waiting", "", " completed", "complete", "finished", "fail", "ok"]
)
@pytest.mark.parametrize("was_processing", [False, True])
def test_any_other_word_changes_nothing(word, was_processing):
    """Unknown words keep a task running, and one at work does not go back to waiting."""
    verdict = judge(word, was_processing=was_processing, used=None)

    assert verdict == Running(processing=was_processing)


@checked
@given(word=st.text(), was_processing=st.booleans())
def test_no_word_ends_a_task_by_chance(word, was_processing):
    """Whatever is sent is judged; only the listed words are an end."""
    known_ends = ("completed", "succeeded", "success", "done", "failed", "error", "cancelled")

    verdict = judge(word, was_processing=was_processing, used=None)

    assert isinstance(verdict, Running) == (word.lower() not in (*known_ends, "canceled"))
