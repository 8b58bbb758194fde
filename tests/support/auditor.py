"""What must hold after any fault, reckoned from the outside: from journals and raw keys.

Three witnesses are compared: what the vendor received, what callers were told, and what Redis
holds. The only thing taken from the program is how it names a send to the vendor.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from app.upstream.client import idempotency_key_of
from tests.support.audit_leaks import leaked
from tests.support.audit_limits import exceeded
from tests.support.audit_vendor import PLAIN_REFUSALS, misattributed
from tests.support.books import Books, Fields, Place, family_of, read_books

__all__ = ["Answered", "Books", "audit", "read_books"]

FINAL_STATES: Final = frozenset({"completed", "failed", "rejected", "cancelled", "written_off"})
SCHEDULE_OF_STATE: Final = {
    "sending": "sends",
    "submitted": "polls",
    "watching": "polls",
    "in_doubt": "doubts",
    "queued": "queue",
}


@dataclass(frozen=True)
class Answered:
    """One answer to a create, as the caller kept it; equal names were one request, repeated."""

    name: str
    status: int
    body: bytes
    task_id: str = ""
    reason: str = ""
    tenant_id: str = ""


def audit(
    books: Books, vendor_journal: Iterable[dict[str, Any]], answers: Iterable[Answered] = ()
) -> list[str]:
    """Return everything that must not be, one line a violation; tests want an empty list."""
    journal, given = list(vendor_journal), list(answers)
    creates = [
        entry
        for entry in journal
        if entry["method"] == "POST" and entry["path"] == "/v1/videos/generations"
    ]
    return [
        *_sent_twice(books, creates),
        *_created_twice(books, creates),
        *_forgotten(books, given),
        *_unbalanced(books),
        *_misfigured(books),
        *_misplaced(books),
        *_unlisted(books),
        *_unwatched(books),
        *exceeded(books, journal),
        *misattributed(books, creates),
        *leaked(books, given),
    ]


def _sent_twice(books: Books, creates: list[dict[str, Any]]) -> Iterator[str]:
    """A task is sent once; again only after a plain refusal, or where a resend was noted before."""
    task_of = {idempotency_key_of(task_id): task_id for task_id in books.tasks}
    sent: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in creates:
        sent[entry["idempotency_key"]].append(entry)
    for key, entries in sent.items():
        if key not in task_of:
            yield f"the vendor was sent {key}, which no task stands for"
            continue
        task_id = task_of[key]
        allowed = 1 + int(books.tasks[task_id].get("resends", "0"))
        unclear = sum(not _plainly_refused(entry) for entry in entries)
        if unclear > allowed or len(entries) > allowed + books.times(task_id, "requeued"):
            yield f"task {task_id} was sent to the vendor {len(entries)} times"
        if len(made := {entry["created_task_id"] for entry in entries} - {None}) > 1:
            yield f"the vendor made {len(made)} tasks of task {task_id}"


def _plainly_refused(entry: dict[str, Any]) -> bool:
    """Say whether an answer told that nothing was created; and nothing was."""
    return entry.get("answer_status") in PLAIN_REFUSALS and not entry["created_task_id"]


def _created_twice(books: Books, creates: list[dict[str, Any]]) -> Iterator[str]:
    """Whatever a caller repeats under one Idempotency-Key is made by the vendor once at most."""
    made_for = {entry["idempotency_key"] for entry in creates if entry["created_task_id"]}
    made: Counter[tuple[str, str, str]] = Counter()
    vendor_ids: Counter[str] = Counter()
    for task_id, task in books.tasks.items():
        if task.get("idem") and idempotency_key_of(task_id) in made_for:
            made[task["tenant"], task["mode"], task["idem"]] += 1
        if task.get("vendor_id"):
            vendor_ids[task["vendor_id"]] += 1
    yield from (f"one request of {key[0]} made {n} tasks" for key, n in made.items() if n > 1)
    yield from (f"{n} tasks follow {vendor_id}" for vendor_id, n in vendor_ids.items() if n > 1)


def _forgotten(books: Books, answers: list[Answered]) -> Iterator[str]:
    """Who was told 200 has a task, the same one and in the same words however often they asked."""
    by_name: dict[str, list[Answered]] = defaultdict(list)
    for answer in answers:
        if answer.status == 200:
            by_name[answer.name].append(answer)
    for name, given in by_name.items():
        if len({answer.body for answer in given}) > 1:
            yield f"request {name} was answered in {len({a.body for a in given})} ways"
        for task_id in {answer.task_id for answer in given}:
            task = books.tasks.get(task_id)
            if task is None:
                yield f"task {task_id} was acknowledged and is unknown"
            elif not task.get("answered"):
                yield f"task {task_id} was acknowledged, and does not know it"


def _outstanding(entries: list[tuple[str, int]]) -> int:
    """Return what a task's ledger leaves on hold."""
    signs = {"hold": 1, "adjust": 1, "settle": -1, "release": -1, "correction": 0}
    return sum(signs[word] * amount for word, amount in entries)


def _settled(entries: list[tuple[str, int]]) -> int:
    return sum(amount for word, amount in entries if word in ("settle", "correction"))


def _unbalanced(books: Books) -> Iterator[str]:
    for task_id, task in books.tasks.items():
        entries = books.ledgers.get(task_id, [])
        words = Counter(word for word, _ in entries)
        ended = task["state"] in FINAL_STATES
        if words["hold"] != 1:
            yield f"task {task_id} was held {words['hold']} times"
        if words["settle"] > 1 or words["release"] > 1 or (words["settle"] and not ended):
            yield f"task {task_id} was settled or released more often than it ended: {entries}"
        if _outstanding(entries) != int(task["held"]) or (ended and _outstanding(entries)):
            yield f"task {task_id} ({task['state']}) holds {task['held']}, its ledger: {entries}"
        if _settled(entries) != int(task.get("charged", "0")):
            yield f"task {task_id} was charged {task.get('charged')}, its ledger: {entries}"
    for task_id in books.ledgers.keys() - books.tasks.keys():
        yield f"money moved for {task_id}, which is unknown"


def _figures_of(task: Fields, entries: list[tuple[str, int]]) -> dict[str, int]:
    """Return what one task adds to each of its figures."""
    exists, has_ended = not _never_was(task), task["state"] in FINAL_STATES
    ended = "completed" if task["state"] == "completed" else "failed"
    return {
        "held": _outstanding(entries),
        "settled": _settled(entries),
        "tasks": int(exists),
        ended: int(exists and has_ended),
    }


def _misfigured(books: Books) -> Iterator[str]:
    """Totals of days and months are the sums of the ledgers of the tasks admitted in them."""
    due: dict[Place, Counter[str]] = defaultdict(Counter)
    for task_id, task in books.tasks.items():
        figures = _figures_of(task, books.ledgers.get(task_id, []))
        for window in (task["day"], task["month"]):
            for suffix in ("", f":{_family(task)}", f"@{task['model']}"):
                due[task["tenant"], task["mode"], window].update(
                    {f"{name}{suffix}": amount for name, amount in figures.items()}
                )
    for place in due.keys() | books.usage.keys():
        found = books.usage.get(place, {})
        for name in due[place].keys() | found.keys():
            if found.get(name, 0) != due[place][name]:
                yield f"{':'.join(place)} says {name} {found.get(name, 0)}, is {due[place][name]}"


def _misplaced(books: Books) -> Iterator[str]:
    """A slot belongs to a task that is being worked on, and every such task has its two."""
    due: dict[Place, set[str]] = defaultdict(set)
    for task_id, task in books.tasks.items():
        if _has_slot(task):
            due[task["tenant"], task["mode"], ""].add(task_id)
            due[task["tenant"], task["mode"], _family(task)].add(task_id)
    for place in due.keys() | books.slots.keys():
        found = books.slots.get(place, set())
        yield from (f"task {each} keeps a slot of {place}" for each in found - due[place])
        yield from (f"task {each} has no slot of {place}" for each in due[place] - found)


def _unlisted(books: Books) -> Iterator[str]:
    """Every task that its tenant can read is on the lists of its state, and on no other."""
    due: dict[Place, set[str]] = defaultdict(set)
    for task_id, task in books.tasks.items():
        if _never_was(task):
            continue
        closed = "completed" if task["state"] == "completed" else "failed"
        names = ["all", closed if task["state"] in FINAL_STATES else "open"]
        called_off = task["state"] == "cancelled" or "request_cancelled" in task["body"]
        if closed in names and called_off:
            names.append("cancelled")
        for name in names:
            for model in ("", task["model"]):
                due[task["tenant"], task["mode"], f"{name}:{model}"].add(task_id)
    for place in due.keys() | books.lists.keys():
        found = books.lists.get(place, set())
        yield from (f"task {each} is on the list {place}" for each in found - due[place])
        yield from (f"task {each} is not on the list {place}" for each in due[place] - found)
    readable = {task_id for (_, _, name), ids in due.items() if name == "all:" for task_id in ids}
    ended = {each for each in readable if books.tasks[each]["state"] in FINAL_STATES}
    if ended != {member.split(" ")[0] for member in books.retiring}:
        yield f"{len(ended)} tasks have ended, {len(books.retiring)} are to be forgotten"


def _family(task: Fields) -> str:
    return family_of(task["key"])


def _has_slot(task: Fields) -> bool:
    """Say whether a task should have slots: not in a queue, watched, long in doubt, or ended."""
    if task.get("slot_freed") == "1":
        return False
    return task["state"] in ("sending", "submitted", "in_doubt")


def _never_was(task: Fields) -> bool:
    """Say whether a task was refused before anybody was answered."""
    return task["state"] == "rejected" and not task.get("answered")


def _unwatched(books: Books) -> Iterator[str]:
    """Every task that has not ended stands in the schedule that somebody works through."""
    for task_id, task in books.tasks.items():
        due = SCHEDULE_OF_STATE.get(task["state"])
        found = {name for name, members in books.schedules.items() if task_id in members}
        if found != ({due} if due else set()):
            yield f"task {task_id} ({task['state']}) stands in {sorted(found)}"
    for name, members in books.schedules.items():
        for task_id in members - books.tasks.keys():
            yield f"{task_id} stands in {name} and is unknown"
