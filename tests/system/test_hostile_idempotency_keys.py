"""Idempotency-Keys of the hostile kind: refused, or harmless in the store."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

from redis import Redis as BlockingRedis

from tests.api.wire import Line
from tests.support.bed import CREATE_PATH
from tests.support.fleet import Fleet
from tests.support.redis_server import RedisServer
from tests.support.scale import scaled

KEYS, AT_ONCE = scaled(10_000, share=1.0), 100
PAIRS = scaled(10_000)
NAME_OF_RECORD = re.compile(r"rg:\{s\d\d\}:idem:(acme|globex):live:[0-9a-f]{64}")

HOSTILE: dict[str, Callable[[random.Random], bytes]] = {
    "too long": lambda lots: b"x" * lots.randrange(256, 4096),
    "two words": lambda lots: b"order %d" % lots.randrange(10**6),
    "tab": lambda lots: b"order\t%d" % lots.randrange(10**6),
    "beyond ASCII": lambda lots: "order-é😀".encode() + b"%d" % lots.randrange(10**6),
    "no UTF-8": lambda lots: bytes(lots.randrange(128, 256) for _ in range(8)),
    "empty": lambda lots: b" " * lots.randrange(3),
    "empty in quotes": lambda lots: b'""',
}

ODD = "{}:*?[]\\'`$;|<>&%#@!~^=+,."


def requests(key: str) -> Iterator[tuple[str, bytes]]:
    """Return ten thousand creates with the kind of their name."""
    lots, kinds = random.Random(5), list(HOSTILE)
    for number in range(KEYS):
        kind = kinds[number % len(kinds)]
        yield kind, create(key, HOSTILE[kind](lots))


def create(key: str, name: bytes) -> bytes:
    """Return a create as it goes over the line; its name is looked at before its body."""
    lines = [
        f"POST {CREATE_PATH} HTTP/1.1".encode(),
        b"Host: gateway",
        b"Authorization: Bearer " + key.encode(),
        b"Content-Type: application/json",
        b"Content-Length: 0",
        b"Idempotency-Key: " + name,
    ]
    return b"\r\n".join([*lines, b"", b""])


def names_in(redis: RedisServer) -> set[str]:
    """Return the names of all that a store holds."""
    with BlockingRedis.from_url(redis.url, decode_responses=True) as client:
        return set(client.scan_iter(count=1000))


async def test_ten_thousand_hostile_names_leave_nothing_in_the_store(fleet: Fleet) -> None:
    """Each is refused by name of its header; nothing is recorded, the vendor hears nothing."""
    (gateway,) = await fleet.start("api", REELGATE_ROLE="api")
    customer = await fleet.customer()
    everything = list(requests(customer.key))
    refused: Counter[str] = Counter()

    with Line(gateway.url) as line:
        # What is kept of a caller whose creates are refused is there from the first on.
        line.send(create(customer.key, b" "))
        line.receive()
        before = names_in(fleet.redis)
        for start in range(0, KEYS, AT_ONCE):
            batch = everything[start : start + AT_ONCE]
            line.send(b"".join(content for _, content in batch))
            for kind, content in batch:
                answer = line.receive()
                assert answer.status == 400, (kind, content, answer)
                assert answer.error()["param"] == "Idempotency-Key"
                refused[kind] += 1

    assert refused.total() == KEYS
    assert refused.keys() == HOSTILE.keys()
    assert names_in(fleet.redis) == before
    assert fleet.vendor.journal() == []


async def test_odd_names_of_two_tenants_never_meet(fleet: Fleet) -> None:
    """The same name is a task of each tenant; in the store it is a hash, and nothing else is."""
    (gateway,) = await fleet.start("api", REELGATE_ROLE="api")
    customers = [await fleet.customer("acme"), await fleet.customer("globex")]
    lots = random.Random(6)
    names = [f"{n}" + "".join(lots.choices(ODD, k=lots.randrange(1, 40))) for n in range(PAIRS)]

    for name in names:
        for customer in customers:
            await customer.create(gateway, name, "seconds:0")

    tasks = [task for customer in customers for task in customer.acknowledged.values()]
    records = [name for name in names_in(fleet.redis) if ":idem:" in name]
    assert len(set(tasks)) == len(records) == 2 * PAIRS == len(fleet.vendor.creates())
    assert all(NAME_OF_RECORD.fullmatch(name) for name in records)
