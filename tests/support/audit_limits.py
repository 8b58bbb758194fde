"""Whether the limits of tasks in flight and of credits held at every instant that is recorded.

What is in flight is reckoned from the vendor's journal alone: from the arrival of a create to that
of the first status read, its task surely has its slot; what was in doubt too long may have lost it.
Credits are reckoned from the ledgers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final

from app.upstream.client import idempotency_key_of
from tests.support.books import Books, family_of

CREDIT_LIMITS: Final = {"day": "credits_per_day", "month": "credits_per_month"}

SKEW_MS: Final = 15_000
"""How much later than its instant a script may have run: a call's deadline, and a busy machine."""

Spans = dict[tuple[str, str], list[tuple[int, int]]]
"""From the number of one entry in the journal to that of another, by tenant and key's family."""

END: Final = 1 << 60


def exceeded(books: Books, journal: list[dict[str, Any]]) -> Iterator[str]:
    """Return a line for every limit that was exceeded; of limits that changed nothing is known."""
    yield from _too_many_in_flight(books, journal)
    yield from _too_much_held(books)
    yield from _overspent(books)


def _overspent(books: Books) -> Iterator[str]:
    """No browser token has created more, or held more credits, than it was given."""
    for (tenant_id, family), keys in books.limits.items():
        for fields in keys:
            left = [int(fields.get(name, 0)) for name in ("tasks_left", "credits_left")]
            if min(left) < 0:
                yield f"{tenant_id} {family}: token {fields['id']} has {left} left"


def _limit(books: Books, tenant_id: str, family: str, name: str) -> int | None:
    """Return a limit of a tenant, or the highest of a family of keys; None where there is none."""
    found = [fields.get(name) for fields in books.limits.get((tenant_id, family), ())]
    if not found or tenant_id in books.relimited or None in found:
        return None
    return max(int(value) for value in found if value is not None)


def _too_many_in_flight(books: Books, journal: list[dict[str, Any]]) -> Iterator[str]:
    for (tenant_id, family), spans in _spans(books, journal).items():
        most = _limit(books, tenant_id, family, "tasks_in_flight")
        at_once = _at_once(spans)
        if most is not None and at_once > most:
            yield f"{tenant_id} {family} had {at_once} tasks in flight, {most} were allowed"


def _spans(books: Books, journal: list[dict[str, Any]]) -> Spans:
    task_of = {idempotency_key_of(task_id): task_id for task_id in books.tasks}
    first_read = _first_reads(journal)
    spans: Spans = defaultdict(list)
    for began, entry in enumerate(journal):
        task_id = task_of.get(entry["idempotency_key"] or "")
        if task_id is None:
            continue
        task = books.tasks[task_id]
        is_open = task["state"] in ("sending", "submitted", "in_doubt")
        if task.get("slot_freed") == "1" or (not is_open and books.times(task_id, "in_doubt")):
            continue
        ended = began
        if entry["created_task_id"]:
            ended = first_read.get(entry["created_task_id"], END if is_open else began)
        for family in ("", family_of(task["key"])):
            spans[task["tenant"], family].append((began, ended))
    return spans


def _first_reads(journal: list[dict[str, Any]]) -> dict[str, int]:
    """Return the number of the first read of each of the vendor's tasks."""
    found: dict[str, int] = {}
    for number, entry in enumerate(journal):
        read = [entry["path"].rpartition("/")[2]] if entry["method"] == "GET" else []
        if entry["path"] == "/v1/tasks/batch" and isinstance(entry["body"], dict):
            read = [str(each) for each in entry["body"].get("task_ids", ())]
        for vendor_id in read:
            found.setdefault(vendor_id, number)
    return found


def _at_once(spans: Iterable[tuple[int, int]]) -> int:
    """Return how many spans there are at most at one moment; both their ends belong to them."""
    edges = [edge for began, ended in spans for edge in ((began, 0, 1), (ended, 1, -1))]
    return max(accumulate(step for _, _, step in sorted(edges)), default=0)


def _too_much_held(books: Books) -> Iterator[str]:
    """At no admission was more than the limit held and spent, but for bills above the hold."""
    movements: dict[tuple[str, str, str, str], list[tuple[int, int, int]]] = defaultdict(list)
    for task_id, task in books.tasks.items():
        for window, name in CREDIT_LIMITS.items():
            for family in ("", family_of(task["key"])):
                place = (task["tenant"], family, name, f"{task['mode']} {task[window]}")
                movements[place].extend(_movements(books, task_id))
    for (tenant_id, family, name, window), moved in movements.items():
        most = _limit(books, tenant_id, family, name)
        held = max(accumulate(amount for _, _, amount in sorted(moved)), default=0)
        if most is not None and held > most:
            yield f"{tenant_id} {family} had committed {held} in {window}, {name} is {most}"


def _movements(books: Books, task_id: str) -> Iterator[tuple[int, int, int]]:
    """Return instant, order at one instant, and change of what a task takes of the limits.

    What the vendor took beyond the price is left out: it stops the next create, and no earlier.
    """
    entries = list(zip(books.moments[task_id], books.ledgers[task_id], strict=True))
    for at_ms, (word, amount) in entries:
        if word == "hold":
            yield at_ms, 1, amount
        elif word == "release" or (word in ("adjust", "correction") and amount < 0):
            yield at_ms - SKEW_MS, 0, -abs(amount)
