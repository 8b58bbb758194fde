"""What must hold after any fault, reckoned from the outside: from journals and raw keys.

Three witnesses are compared: what the vendor received, what callers were told, and what Redis
holds. The only thing taken from the program is how it names a send to the vendor.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from redis import Redis as BlockingRedis

from app.upstream.client import idempotency_key_of

FINAL_STATES: Final = frozenset({"completed", "failed", "rejected", "cancelled", "written_off"})
SCHEDULE_OF_STATE: Final = {
    "sending": "sends",
    "submitted": "polls",
    "watching": "polls",
    "in_doubt": "doubts",
}

Fields = dict[str, str]
Place = tuple[str, str, str]
"""Tenant, mode, and a window, a key's family, or a list and its model."""


@dataclass(frozen=True)
class Answered:
    """One answer to a create, as the caller kept it; equal names were one request, repeated."""

    name: str
    status: int
    body: bytes
    task_id: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Books:
    """All that Redis holds of tasks and money."""

    tasks: dict[str, Fields] = field(default_factory=dict)
    ledgers: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    usage: dict[Place, dict[str, int]] = field(default_factory=dict)
    slots: dict[Place, set[str]] = field(default_factory=dict)
    lists: dict[Place, set[str]] = field(default_factory=dict)
    retiring: set[str] = field(default_factory=set)
    schedules: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def states(self) -> Counter[str]:
        """Return how many tasks are in each state."""
        return Counter(task["state"] for task in self.tasks.values())

    def figures(self, tenant_id: str, mode: str = "live") -> dict[str, int]:
        """Return a tenant's figures of the day; fails where it has several days."""
        days = [
            figures
            for (tenant, of_mode, window), figures in self.usage.items()
            if (tenant, of_mode) == (tenant_id, mode) and len(window) == len("20261122")
        ]
        assert len(days) == 1, f"{len(days)} days of {tenant_id}"
        return days[0]


def read_books(redis_url: str) -> Books:
    """Read every key of every shard; the gateways should be at rest."""
    books = Books()
    with BlockingRedis.from_url(redis_url, decode_responses=True) as redis:
        for name in redis.scan_iter(match="rg:{s*}:*", count=1000):
            _enter(books, redis, name)
    return books


def _enter(books: Books, redis: BlockingRedis, name: str) -> None:
    """Read one key, if it is of those that are audited."""
    kind, _, place = name.partition("}:")[2].partition(":")
    match kind:
        case "task":
            books.tasks[place] = redis.hgetall(name)
        case "ledger":
            lines = (line.split(" ") for line in redis.lrange(name, 0, -1))
            books.ledgers[place] = [(word, int(amount)) for _, word, amount in lines]
        case "usage":
            figures = redis.hgetall(name)
            books.usage[_place(place)] = {k: int(v) for k, v in figures.items()}
        case "slots":
            books.slots[_place(place)] = redis.smembers(name)
        case "list":
            books.lists[_place(place)] = set(redis.zrange(name, 0, -1))
        case "retires":
            books.retiring.update(redis.zrange(name, 0, -1))
        case "sends" | "polls" | "doubts":
            books.schedules[kind] |= set(redis.zrange(name, 0, -1))


def _place(text: str) -> Place:
    tenant, mode, rest = text.split(":", 2)
    return tenant, mode, rest


def audit(
    books: Books, vendor_journal: Iterable[dict[str, Any]], answers: Iterable[Answered] = ()
) -> list[str]:
    """Return everything that must not be, one line a violation; tests want an empty list."""
    creates = [
        entry
        for entry in vendor_journal
        if entry["method"] == "POST" and entry["path"] == "/v1/videos/generations"
    ]
    return [
        *_sent_twice(books, creates),
        *_created_twice(books, creates),
        *_forgotten(books, list(answers)),
        *_unbalanced(books),
        *_misfigured(books),
        *_misplaced(books),
        *_unlisted(books),
        *_unwatched(books),
    ]


def _sent_twice(books: Books, creates: list[dict[str, Any]]) -> Iterator[str]:
    task_of = {idempotency_key_of(task_id): task_id for task_id in books.tasks}
    for key, times in Counter(entry["idempotency_key"] for entry in creates).items():
        if times > 1:
            yield f"task {task_of.get(key, key)} was sent to the vendor {times} times"
        if key not in task_of:
            yield f"the vendor was sent {key}, which no task stands for"


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
    signs = {"hold": 1, "adjust": 1, "settle": -1, "release": -1}
    return sum(signs[word] * amount for word, amount in entries)


def _settled(entries: list[tuple[str, int]]) -> int:
    return sum(amount for word, amount in entries if word == "settle")


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
    """A slot belongs to a task that has not ended, and every such task has its two."""
    due: dict[Place, set[str]] = defaultdict(set)
    for task_id, task in books.tasks.items():
        if task["state"] not in FINAL_STATES:
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
    return task["key"].split(".")[0]


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
