"""When a doubtful task is sent again, loses its slot, and is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.doubt import LEAST_SLOT_MS, RESENDS_MS, DoubtStep, DoubtTerms, next_step
from app.domain.task import Task
from tests.domain.samples import doubtful_task

DAY_MS = 86_400_000
BEGAN_MS = doubtful_task().doubt_ms

CAUTIOUS = DoubtTerms(trust_idempotency=False, deadline_ms=DAY_MS)
TRUSTING = DoubtTerms(trust_idempotency=True, deadline_ms=DAY_MS)


def step_at(
    age_ms: int, terms: DoubtTerms = CAUTIOUS, *, estimated_s: int = 0, **changes: object
) -> DoubtStep:
    """Return what is due at an age of the doubt."""
    task: Task = replace(doubtful_task(), **changes)  # type: ignore[arg-type]
    return next_step(task, terms, estimated_s=estimated_s, now_ms=BEGAN_MS + age_ms)


def followed(terms: DoubtTerms, *, estimated_s: int = 0) -> list[tuple[int, str]]:
    """Return every step of a doubt that nothing ends, looked at exactly when it says so."""
    task, now_ms, found = doubtful_task(), BEGAN_MS, []
    while True:
        step = next_step(task, terms, estimated_s=estimated_s, now_ms=now_ms)
        age_ms = now_ms - BEGAN_MS
        if step.resend:
            found.append((age_ms, "resend"))
            task = replace(task, resends=task.resends + 1)
        if step.free_slot:
            found.append((age_ms, "free slot"))
            task = replace(task, slot_freed=True)
        if step.write_off:
            return [*found, (age_ms, "write off")]
        assert step.next_ms > now_ms
        now_ms = step.next_ms


def test_without_trust_nothing_is_ever_sent_again() -> None:
    """The slot goes after ten minutes, the doubt after a day, and that is all."""
    assert followed(CAUTIOUS) == [(LEAST_SLOT_MS, "free slot"), (DAY_MS, "write off")]


def test_with_trust_it_is_sent_again_three_times_at_most() -> None:
    """The first time within ten seconds."""
    steps = followed(TRUSTING)

    resends = [age_ms for age_ms, step in steps if step == "resend"]
    assert resends == list(RESENDS_MS)
    assert len(resends) == 3
    assert resends[0] <= 10_000


@pytest.mark.parametrize(
    ("estimated_s", "slot_ms"), [(0, 600_000), (150, 600_000), (200, 600_000), (300, 900_000)]
)
def test_a_slot_is_kept_for_three_times_the_estimate(estimated_s: int, slot_ms: int) -> None:
    """And for ten minutes at least."""
    assert (slot_ms, "free slot") in followed(CAUTIOUS, estimated_s=estimated_s)


@pytest.mark.parametrize(
    ("age_ms", "resends", "due"),
    [
        *((0, 0, False), (4_999, 0, False), (5_000, 0, True)),
        *((34_999, 1, False), (35_000, 1, True)),
        *((154_999, 2, False), (155_000, 2, True), (DAY_MS - 1, 3, False)),
    ],
)
def test_a_resend_is_due_to_the_millisecond(age_ms: int, resends: int, due: bool) -> None:
    """Not before, and each once."""
    assert step_at(age_ms, TRUSTING, resends=resends).resend is due


def test_resends_that_are_late_keep_their_distance() -> None:
    """An engine that was away for an hour does not send three times in a row."""
    hour_ms = 3_600_000

    first = step_at(hour_ms, TRUSTING, slot_freed=True)
    second = step_at(first.next_ms - BEGAN_MS, TRUSTING, resends=1, slot_freed=True)

    assert first.resend
    assert second.resend
    assert first.next_ms - BEGAN_MS == hour_ms + RESENDS_MS[1] - RESENDS_MS[0]
    assert second.next_ms - first.next_ms == RESENDS_MS[2] - RESENDS_MS[1]


def test_a_slot_is_freed_once() -> None:
    """A second look finds nothing to do."""
    assert step_at(LEAST_SLOT_MS).free_slot
    assert not step_at(LEAST_SLOT_MS, slot_freed=True).free_slot


@pytest.mark.parametrize("terms", [CAUTIOUS, TRUSTING])
def test_at_the_deadline_nothing_else_is_done(terms: DoubtTerms) -> None:
    """Whatever was left to do: a send at the end would only make the doubt greater."""
    step = step_at(DAY_MS, terms)

    assert (step.write_off, step.resend, step.free_slot) == (True, False, False)
    assert not step_at(DAY_MS - 1, terms).write_off


def test_a_deadline_before_everything_else_is_kept() -> None:
    """A minute is a minute, with two resends in it."""
    terms = replace(TRUSTING, deadline_ms=60_000)

    assert followed(terms) == [(5_000, "resend"), (35_000, "resend"), (60_000, "write off")]


def test_the_next_look_is_never_at_once() -> None:
    """Whatever the clock does: a step that was late must not make the engine spin."""
    assert step_at(-5_000, TRUSTING).next_ms > BEGAN_MS
    assert step_at(10 * DAY_MS).next_ms >= BEGAN_MS + 10 * DAY_MS + 1_000
