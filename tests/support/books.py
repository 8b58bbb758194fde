"""All that a store holds of tasks, money and limits, read raw and without the program."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from redis import Redis as BlockingRedis

Fields = dict[str, str]
Place = tuple[str, str, str]
"""Tenant, mode, and a window, a key's family, or a list and its model."""

SETTLED_ACTS: Final = frozenset({"tenant.created", "key.issued", "key.revoked"})
"""Acts of operators after which limits are what they were before."""

READ_BY_TYPE: Final[dict[str, Callable[[Any, str], Any]]] = {
    "string": lambda pipe, name: pipe.get(name),
    "hash": lambda pipe, name: pipe.hgetall(name),
    "list": lambda pipe, name: pipe.lrange(name, 0, -1),
    "set": lambda pipe, name: pipe.smembers(name),
    "zset": lambda pipe, name: pipe.zrange(name, 0, -1),
    "stream": lambda pipe, name: pipe.xrange(name),
}


@dataclass(frozen=True)
class Books:
    """All that Redis holds of tasks and money; `raw` is every key as it was read.

    `moments` are the instants of the entries of `ledgers`. `limits` are those of tenants, under a
    key's family those of its keys; of the tenants in `relimited` they were others before.
    """

    tasks: dict[str, Fields] = field(default_factory=dict)
    ledgers: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    moments: dict[str, list[int]] = field(default_factory=dict)
    stories: dict[str, list[str]] = field(default_factory=dict)
    usage: dict[Place, dict[str, int]] = field(default_factory=dict)
    slots: dict[Place, set[str]] = field(default_factory=dict)
    lists: dict[Place, set[str]] = field(default_factory=dict)
    retiring: set[str] = field(default_factory=set)
    schedules: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    limits: dict[tuple[str, str], list[Fields]] = field(default_factory=lambda: defaultdict(list))
    acts: list[dict[str, Any]] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

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

    def times(self, task_id: str, word: str) -> int:
        """Return how often a step is in a task's story."""
        return sum(line.split(" ")[1] == word for line in self.stories.get(task_id, ()))

    @property
    def relimited(self) -> set[str]:
        """Tenants of which limits may have been others at some time."""
        return {
            act["tenant"]
            for act in self.acts
            if act["act"].startswith(("tenant.", "key.")) and act["act"] not in SETTLED_ACTS
        }


def family_of(key_id: str) -> str:
    """Return the key whose figures count what a key does: `key_x` for `key_x.2~y`."""
    return re.split(r"[.~]", key_id)[0]


def read_books(redis_url: str) -> Books:
    """Read every key of every shard; the gateways should be at rest."""
    books, redis = Books(), _reader_of(redis_url)
    names = sorted(redis.scan_iter(match="rg:*", count=1000))
    types = _piped(redis, [(name, "type") for name in names])
    kept = [(name, kind) for name, kind in zip(names, types, strict=True) if kind != "none"]
    books.raw.update(zip((name for name, _ in kept), _piped(redis, kept), strict=True))
    for name, found in books.raw.items():
        if found:
            _enter(books, name, found)
    return books


@cache
def _reader_of(redis_url: str) -> BlockingRedis:
    """Return a client that lasts: books are read after every test."""
    return BlockingRedis.from_url(redis_url, decode_responses=True, encoding_errors="replace")


def _piped(redis: BlockingRedis, wanted: list[tuple[str, str]]) -> list[Any]:
    """Read many keys, or their types, in one round trip."""
    with redis.pipeline(transaction=False) as pipe:
        for name, kind in wanted:
            if kind == "type":
                pipe.type(name)
            else:
                READ_BY_TYPE[kind](pipe, name)
        found: list[Any] = pipe.execute()
    return found


def _enter(books: Books, name: str, found: Any) -> None:
    """Enter one key into the books, if it is of those that are audited."""
    kind, _, place = name.partition("}:")[2].partition(":")
    if "{vendor}" in name:
        return  # budgets and turns at the vendor, which belong to no task
    match kind:
        case "task":
            books.tasks[place] = found
        case "ledger":
            lines = [line.split(" ") for line in found]
            books.ledgers[place] = [(word, int(amount)) for _, word, amount in lines]
            books.moments[place] = [int(at_ms) for at_ms, _, _ in lines]
        case "story":
            books.stories[place] = found
        case "retires":
            books.retiring.update(found)
        case "queue" | "sends" | "polls" | "doubts":
            books.schedules[kind] |= set(found)
        case _:
            _enter_of_tenant(books, kind, place, found)


def _enter_of_tenant(books: Books, kind: str, place: str, found: Any) -> None:
    """Enter what is kept of a tenant or of one of its keys, or what operators did."""
    match kind:
        case "usage":
            books.usage[_place(place)] = {name: int(value) for name, value in found.items()}
        case "slots":
            books.slots[_place(place)] = set(found)
        case "list":
            books.lists[_place(place)] = set(found)
        case "tenant":
            books.limits[place, ""].append(found)
        case "key":
            tenant_id, _, key_id = place.partition(":")
            books.limits[tenant_id, family_of(key_id)].append(found)
        case "audit":
            books.acts.extend(json.loads(entry["entry"]) for _, entry in found)


def _place(text: str) -> Place:
    tenant, mode, rest = text.split(":", 2)
    return tenant, mode, rest
