"""The books of a store: its whole content, and every figure reckoned again from the ledgers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redis.asyncio import Redis

from app.domain.task import FINAL
from app.store.keys import Shard, windows

_FINAL_WORDS = {state.value for state in FINAL}
_SIGNS = {"hold": 1, "adjust": 1, "settle": -1, "release": -1}
"""What each kind of ledger entry does to the hold."""


async def everything(redis: Redis) -> dict[str, tuple[Any, int]]:
    """Return every key with its value and the instant it expires at (-1: never)."""
    found = {}
    async for raw in redis.scan_iter(count=1000):
        found[raw.decode()] = (await _value(redis, raw), await redis.pexpiretime(raw))
    return found


async def _value(redis: Redis, name: bytes) -> Any:
    match await redis.type(name):
        case b"hash":
            return await redis.hgetall(name)
        case b"set":
            return await redis.smembers(name)
        case b"list":
            return await redis.lrange(name, 0, -1)
        case b"zset":
            return await redis.zrange(name, 0, -1, withscores=True)
        case _:
            return await redis.get(name)


async def discrepancies(redis: Redis) -> list[str]:
    """Name every figure in the store that the ledgers and states of its tasks do not bear out."""
    found: list[str] = []
    usage: dict[str, Counter[str]] = {}
    slots: dict[str, set[bytes]] = {}
    async for raw in redis.scan_iter(match="rg:{s*}:task:*", count=1000):
        fields = await redis.hgetall(raw)
        task = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
        entries = await redis.lrange(Shard.of(task["tenant"]).ledger(task["id"]), 0, -1)
        found += _reckon(task, [entry.decode().split(" ") for entry in entries], usage, slots)
    found += await _differences(redis, "usage", usage)
    async for raw in redis.scan_iter(match="rg:{s*}:slots:*", count=1000):
        members = await redis.smembers(raw)
        if members != slots.pop(raw.decode(), set()):
            found.append(f"{raw.decode()} holds {sorted(members)}")
    return found + [f"{name} lacks {sorted(members)}" for name, members in slots.items()]


def _reckon(
    task: dict[str, str],
    entries: list[list[str]],
    usage: dict[str, Counter[str]],
    slots: dict[str, set[bytes]],
) -> list[str]:
    """Add one task to the expected figures; returns what is wrong within the task itself."""
    kinds = Counter(kind for _, kind, _ in entries)
    held = sum(_SIGNS[kind] * int(amount) for _, kind, amount in entries)
    settled = sum(int(amount) for _, kind, amount in entries if kind == "settle")
    is_final = task["state"] in _FINAL_WORDS
    shard, scope = Shard.of(task["tenant"]), (task["tenant"], task["mode"])
    for window in windows(int(task["created_ms"])):
        figures = usage.setdefault(shard.usage(*scope, window), Counter())
        for suffix in ("", f":{task['key']}"):
            figures["held" + suffix] += held
            figures["settled" + suffix] += settled
            figures["tasks" + suffix] += 1
    if not is_final:
        for name in (shard.slots(*scope), shard.slots(*scope, task["key"])):
            slots.setdefault(name, set()).add(task["id"].encode())
    wrong = {
        "held": held != int(task["held"]),
        "charged": settled != int(task.get("charged", "0")),
        "open holds": is_final and held != 0,
        "settled while open": not is_final and settled != 0,
        "settled or released twice": kinds["settle"] > 1 or kinds["release"] > 1,
        "holds": kinds["hold"] != 1,
    }
    return [f"{task['id']}: {what}: {entries}" for what, is_wrong in wrong.items() if is_wrong]


async def _differences(redis: Redis, kind: str, expected: dict[str, Counter[str]]) -> list[str]:
    """Compare stored counters with expected ones; a counter that is absent is zero."""
    found = []
    stored = {raw.decode() async for raw in redis.scan_iter(match=f"rg:{{s*}}:{kind}:*")}
    for name in stored | expected.keys():
        fields = await redis.hgetall(name)
        figures = {field.decode(): int(value) for field, value in fields.items()}
        wanted = expected.get(name, Counter())
        found += [
            f"{name} {field}: {figures.get(field, 0)} stored, {wanted[field]} by the ledgers"
            for field in figures.keys() | wanted.keys()
            if figures.get(field, 0) != wanted[field]
        ]
    return found
