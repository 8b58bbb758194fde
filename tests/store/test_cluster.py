"""The store on a cluster: every script stays within one hash slot, and everything works."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from app.clock import HeldClock, StoreClock
from app.store.connect import connect
from app.store.epoch import settle_epoch
from app.store.keys import ALL_SHARDS, Shard
from app.store.time import sample_time
from tests.store.shelf import open_shelf
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor


@pytest.fixture(scope="module")
def node() -> Iterator[RedisServer]:
    """A cluster of one node: it refuses whatever would not work on several."""
    with RedisServer(cluster=True) as running:
        yield running


@pytest.fixture
def cluster(node: RedisServer) -> RedisServer:
    """The cluster, empty."""
    node.flush()
    return node


@pytest.fixture
async def cluster_bed(
    cluster: RedisServer, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> AsyncIterator[Bed]:
    """A gateway on the cluster; its books must be right afterwards."""
    async with open_bed(settings_for(cluster.url, tmp_path, vendor.url), clock, vendor) as bed:
        yield bed
    assert audit(read_books(f"unix://{cluster.socket_path}"), vendor.journal()) == []


async def test_tasks_of_every_shard_are_made_followed_and_settled(cluster_bed: Bed) -> None:
    """From create to end for tenants all over the cluster, with one engine for all of them."""
    bed = cluster_bed
    tenants = [f"tenant-{n}" for n in range(24)]
    keys = [await bed.key(tenant, tasks_in_flight=1, credits_per_day="1") for tenant in tenants]
    tasks = [await bed.created(key, character("seconds:2")) for key in keys]

    await bed.pass_time(3)

    answers = [await bed.read(key, task_id) for key, task_id in zip(keys, tasks, strict=True)]
    assert {answer.json()["status"] for answer in answers} == {"completed"}
    assert {(await bed.usage(tenant))["settled"] for tenant in tenants} == {100_000}
    assert len({Shard.of(tenant).number for tenant in tenants}) > 8


async def test_replays_refusals_and_doubts_work_on_a_cluster(cluster_bed: Bed) -> None:
    """Every script runs, the rarer ones too."""
    bed = cluster_bed
    key = await bed.key(tasks_in_flight=2, creates_per_minute=9, credits_per_month="1")
    first = await bed.create(key, idempotency_key="one")
    bed.vendor.fault("commit_then_status", times=1)
    doubtful = await bed.create(key)

    replay = await bed.create(key, idempotency_key="one")
    full = await bed.create(key)
    await bed.pass_time(20)
    bed.vendor.fault("status", times=1, status=400)
    refused = await bed.create(key)

    assert replay.content == first.content
    assert full.json()["error"]["reason"] == "too_many_in_flight"
    assert refused.json()["error"]["reason"] == "vendor_refused"
    assert (await bed.stored(doubtful.json()["id"]))["state"] == "in_doubt"


async def test_limits_are_exact_on_a_cluster(cluster_bed: Bed) -> None:
    """Twenty at once for three places."""
    key = await cluster_bed.key(tasks_in_flight=3)

    answers = await asyncio.gather(*(cluster_bed.create(key) for _ in range(20)))

    assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 17}


async def test_operators_see_all_shards_of_a_cluster(
    cluster: RedisServer, tmp_path: Path, clock: HeldClock
) -> None:
    """Tenants, keys, tasks and ledgers are found wherever they lie."""
    async with open_shelf(cluster.url, tmp_path, clock) as shelf:
        callers = [await shelf.caller(f"tenant-{n:02d}") for n in range(20)]
        tasks = [await shelf.admit(caller) for caller in callers]

        found = [await shelf.tasks.find(task.id) for task in tasks]

        assert [tenant.id for tenant in await shelf.tenants.all()] == [
            caller.tenant_id for caller in callers
        ]
        assert [fields and fields["tenant"] for fields in found] == [
            caller.tenant_id for caller in callers
        ]
        assert await shelf.money(tasks[7]) == [("hold", 100_000)]


async def test_epoch_and_time_come_from_a_cluster_too(cluster: RedisServer, tmp_path: Path) -> None:
    """Every shard carries the epoch, and the store's clock can be read."""
    client, clock = connect(cluster.url), StoreClock()

    epoch = await settle_epoch(client, tmp_path, "")
    moved_ms = await sample_time(clock, client)

    assert [await client.get(shard.epoch) for shard in ALL_SHARDS] == [epoch.encode()] * 16
    assert abs(moved_ms) < 1000
    await client.aclose()


@pytest.fixture
async def recorded(bed: Bed) -> AsyncIterator[Redis]:
    """The store of `bed`, whose server writes every command down."""
    redis = bed.gateway.store.redis
    await redis.config_set("slowlog-max-len", 10_000)
    await redis.config_set("slowlog-log-slower-than", 0)
    await redis.slowlog_reset()
    yield redis
    await redis.config_set("slowlog-log-slower-than", -1)
    await redis.slowlog_reset()


def keys_of(command: bytes) -> list[bytes]:
    """Return the keys of a script's call, as the server wrote it down."""
    words = command.split(b" ")
    if words[0] == b"EVAL":  # its second word is a program
        return [word for word in words if word.startswith(b"rg:")]
    return words[3 : 3 + int(words[2])]


async def test_no_script_is_ever_called_across_hash_slots(bed: Bed, recorded: Redis) -> None:
    """What a server without a cluster lets pass is looked at call by call."""
    key = await bed.key(creates_per_minute=9)
    await bed.created(key, character("seconds:1"), idempotency_key="one")
    bed.vendor.fault("commit_then_status", times=1)
    task_id = await bed.created(key)
    await bed.create(key, idempotency_key="one")
    await bed.pass_time(3)
    await bed.read(key, task_id)
    await bed.gateway.store.tenants.set_disabled("acme", disabled=True)

    commands = [entry["command"] for entry in await recorded.slowlog_get(10_000)]

    calls = [keys_of(each) for each in commands if each.startswith((b"EVALSHA", b"EVAL "))]
    assert len(calls) >= 10
    assert [call for call in calls if len({key_slot(name) for name in call}) != 1] == []
