"""A task's story tells every credit, and whether its ledger and its record agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.story import Movement, open_holds, told
from tests.support.properties import checked

RECORD = {
    "id": "task-unified-1767917446-0123456789abcdefghijklmno",
    "tenant": "acme",
    "key": "key_0123456789ab",
    "mode": "live",
    "model": "sora-character",
    "state": "submitted",
    "created_ms": "1767917446000",
    "body": '{"status": "pending"}',
}
CREDIT = 1_000_000


def story(movements: list[Movement], **record: str) -> dict[str, Any]:
    """Return the story of a task with a ledger."""
    return told(RECORD | record, [], movements)


@pytest.mark.parametrize(
    ("entries", "held", "charged", "shown"),
    [
        ([("hold", 5)], 5, 0, [("5", "0")]),
        ([("hold", 5), ("adjust", 2)], 7, 0, [("5", "0"), ("7", "0")]),
        ([("hold", 5), ("adjust", -2)], 3, 0, [("5", "0"), ("3", "0")]),
        ([("hold", 5), ("settle", 5)], 0, 5, [("5", "0"), ("0", "5")]),
        ([("hold", 5), ("release", 5)], 0, 0, [("5", "0"), ("0", "0")]),
        ([("hold", 5), ("settle", 3), ("release", 2)], 0, 3, [("5", "0"), ("2", "3"), ("0", "3")]),
        ([("hold", 5), ("adjust", 1), ("settle", 6)], 0, 6, [("5", "0"), ("6", "0"), ("0", "6")]),
        (
            [("hold", 5), ("settle", 5), ("correction", -5)],
            0,
            0,
            [("5", "0"), ("0", "5"), ("0", "0")],
        ),
        (
            [("hold", 5), ("release", 5), ("correction", 4)],
            0,
            4,
            [("5", "0"), ("0", "0"), ("0", "4")],
        ),
    ],
)
def test_every_credit_is_told_with_its_sums(
    entries: list[tuple[str, int]], held: int, charged: int, shown: list[tuple[str, str]]
) -> None:
    """What is on hold and what is spent after each entry; at the end both are the record's."""
    movements = [(1, kind, amount * CREDIT) for kind, amount in entries]

    found = story(movements, held=str(held * CREDIT), charged=str(charged * CREDIT))

    assert [(entry["on_hold"], entry["spent"]) for entry in found["ledger"]] == shown
    assert [entry["kind"] for entry in found["ledger"]] == [kind for kind, _ in entries]
    assert (found["credits_held"], found["credits_charged"]) == shown[-1]
    assert found["balanced"]
    assert open_holds(movements) == held * CREDIT


@pytest.mark.parametrize(("held", "charged"), [(1, 0), (0, 1), (4, 1), (-5, 5)])
def test_a_ledger_that_says_otherwise_than_the_record_is_told(held: int, charged: int) -> None:
    """By one millionth of a credit, too."""
    movements = [(1, "hold", 5), (2, "settle", 5)]

    assert story(movements, held="0", charged="5")["balanced"]
    assert not story(movements, held=str(held), charged=str(5 - charged))["balanced"]


def test_an_entry_of_a_kind_that_is_not_known_is_shown_and_balances_nothing() -> None:
    """A newer version may have written it: what it means is not guessed."""
    found = story([(1, "hold", 5), (2, "gift", 1)], held="5", charged="0")

    assert [entry["kind"] for entry in found["ledger"]] == ["hold", "gift"]
    assert not found["balanced"]


def test_steps_are_told_in_order() -> None:
    """Each with its instant, its word and why."""
    steps = [(1767917446000, "sending", "vk_1"), (1767917447123, "in_doubt", "ReadTimeout")]

    found = told(RECORD, steps, [])

    assert found["steps"] == [
        {
            "at": "2026-01-09T00:10:46Z",
            "at_ms": 1767917446000,
            "step": "sending",
            "detail": "vk_1",
        },
        {
            "at": "2026-01-09T00:10:47Z",
            "at_ms": 1767917447123,
            "step": "in_doubt",
            "detail": "ReadTimeout",
        },
    ]


def test_what_has_not_happened_is_null() -> None:
    """A task that was never sent has neither a vendor id nor an end."""
    found = story([])

    assert [found[name] for name in ("submitted_at", "finished_at", "vendor_id", "vendor_key")] == [
        None
    ] * 4
    assert found["created_at"] == "2026-01-09T00:10:46Z"
    assert (found["reads"], found["balanced"]) == (0, True)


@checked
@given(st.lists(st.tuples(st.just(1), st.sampled_from(["hold", "adjust"]), st.integers(0, 10**12))))
def test_nothing_is_lost_in_a_story(movements: list[Movement]) -> None:
    """As many entries as the ledger has, and their sum at the end."""
    found = story(movements, held=str(sum(amount for *_, amount in movements)))

    assert len(found["ledger"]) == len(movements)
    assert found["balanced"]
