"""Whether what was spent is what the vendor bills, and each of its tasks has its one owner."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import app.domain
from app.sandbox import life, task_ids
from app.upstream.client import idempotency_key_of
from tests.support.books import Books, Fields

UNKNOWN_STATES: Final = frozenset({"sending", "in_doubt", "written_off"})
"""States of a task of which nobody knows what the vendor did."""

PLAIN_REFUSALS: Final = frozenset({400, 401, 402, 403, 404, 409, 413, 415, 422, 429})

CATALOGUE: Final = tomllib.loads(
    (Path(app.domain.__file__).parent / "catalogue.toml").read_text("utf-8")
)
BILLED_IN_CREDITS: Final = {
    name for name, model in CATALOGUE["models"].items() if model["units"] == "credit"
}
"""Models whose bill the gateway takes for its own; for all others its own price counts."""


def misattributed(books: Books, creates: list[dict[str, Any]]) -> Iterator[str]:
    """Return a line for every task of the vendor with no owner, a wrong one, or another bill."""
    made: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in creates:
        made[entry["idempotency_key"]].append(entry)
    resolved = {str(act["detail"].get("task")) for act in books.acts}
    owner_of = {
        entry["created_task_id"]: key
        for key, entries in made.items()
        for entry in entries
        if entry["created_task_id"]
    }
    for task_id, task in books.tasks.items():
        if task_id in resolved:
            continue
        key = idempotency_key_of(task_id)
        yield from _without_owner(task_id, task, made.get(key, []))
        vendor_id = task.get("vendor_id", "")
        if owner_of.get(vendor_id, key) != key:
            yield f"task {task_id} follows {vendor_id}, which was made for another task"
        elif vendor_id in owner_of:
            yield from _misbilled(books, task_id, task)


def _without_owner(task_id: str, task: Fields, sends: list[dict[str, Any]]) -> Iterator[str]:
    """What the vendor made is followed, or doubted; unless it said in so many words that it is not.

    A vendor that says so and lies is believed.
    """
    if any(entry.get("answer_status") in PLAIN_REFUSALS for entry in sends):
        return
    for made in {entry["created_task_id"] for entry in sends} - {None, task.get("vendor_id")}:
        if task["state"] not in UNKNOWN_STATES:
            yield f"the vendor made {made} for task {task_id}, which is {task['state']}"


def _misbilled(books: Books, task_id: str, task: Fields) -> Iterator[str]:
    """What a task came to is what the vendor made of it, and its price what the vendor bills."""
    ticket = task_ids.read(task["vendor_id"])
    if ticket is None or task["state"] not in ("completed", "failed", "cancelled"):
        return
    outcome = ticket.scenario.outcome
    # The documented words for a task know no cancelled one: it is told as failed.
    if (outcome == "completed") is not (task["state"] == "completed"):
        yield f"task {task_id} is {task['state']}, with the vendor it is {outcome}"
    if task["model"] not in BILLED_IN_CREDITS or books.times(task_id, "corrected"):
        return
    bill = int(life.final_credits(ticket) * Decimal(1_000_000))
    charged = int(task.get("charged", "0"))
    if outcome == "completed" and charged != bill:
        yield f"task {task_id} was charged {charged}, the vendor bills {bill}"
