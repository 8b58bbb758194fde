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
from app.domain.api_key import Grace
from app.domain.audit import GATEWAY
from app.domain.task import TaskState
from app.flows.manage_keys import ManageKeys
from app.flows.manage_tenants import ManageTenants
from app.store.connect import connect
from app.store.epoch import settle_epoch
from app.store.keys import ALL_SHARDS, Shard, windows
from app.store.origins import OriginIndex
from app.store.task_record import Retiring
from app.store.time import sample_time
from tests.store.hooking import FAULTY, OK, URL, Worker, hooks_on
from tests.store.shelf import Shelf, open_shelf
from tests.store.test_mint_token import mint
from tests.store.test_origins import APP, named, seen
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.events import Listening
from tests.support.hooks import fresh_secret
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


async def act_on(shelf: Shelf, tenant_id: str) -> None:
    """Do to a tenant all that an operator can do to one, with the scripts that do it."""
    caller = await shelf.caller(tenant_id, reads_per_second=5)
    keys = ManageKeys(shelf.tenants, shelf.keys, shelf.clock)
    tenants = ManageTenants(shelf.tenants, shelf.audit, shelf.clock)
    await shelf.limit(tenant_id, tasks_in_flight=1, reads_per_second=None)
    await tenants.show_secret(tenant_id, GATEWAY)
    await tenants.rotate_secret(tenant_id, Grace(), GATEWAY)
    child = await mint(shelf, caller)
    rotated = await keys.rotate(tenant_id, caller.key_id, Grace(), GATEWAY)
    orphan = await mint(shelf, caller.model_copy(update={"key_id": rotated.key.id}))
    await keys.revoke(tenant_id, rotated.key.id, GATEWAY)
    assert await shelf.attempt(orphan) == "invalid_key"
    assert len(await keys.of_tenant(tenant_id)) == 2
    assert await shelf.attempt(caller) == "admitted"
    assert await shelf.attempt(child) == "too_many_in_flight"
    await tenants.delete(tenant_id, force=True, by=GATEWAY)
    assert await shelf.attempt(caller) == "invalid_key"


async def read_of(shelf: Shelf, tenant_id: str) -> None:
    """Let a tenant make a task and read all it can, to the day when the task is forgotten."""
    caller = await shelf.caller(tenant_id, reads_per_second=2)
    now_ms = shelf.clock.now_ms()
    task = await shelf.submitted(caller)
    permits = [await shelf.meter.take_read(caller, now_ms=now_ms) for _ in range(3)]
    assert [permit.wait_ms for permit in permits] == [None, None, 500]
    bodies, total = await shelf.reads.page(
        "all", task.model, first=0, last=9, caller=caller, now_ms=now_ms
    )
    assert (len(bodies), total) == (1, 1)
    assert await shelf.reads.several([task.id], caller=caller, now_ms=now_ms) == bodies
    account = await shelf.accounts.of_caller(caller, windows(now_ms), now_ms=now_ms)
    assert account.windows == await shelf.accounts.of_tenant(tenant_id, "live", windows(now_ms))
    await shelf.move(task, TaskState.COMPLETED, charged=1)
    assert await shelf.tasks.forget(Retiring.of(task))


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


async def test_operators_act_on_every_shard_of_a_cluster(
    cluster: RedisServer, tmp_path: Path, clock: HeldClock
) -> None:
    """Tenants and keys are made, changed, rotated and ended, and the log of it is one."""
    tenant_ids = [f"tenant-{n:02d}" for n in range(20)]
    async with open_shelf(cluster.url, tmp_path, clock) as shelf:
        for tenant_id in tenant_ids:
            await act_on(shelf, tenant_id)

        acts, _ = await shelf.audit.page(tenant_id=None, before=None, limit=1000)

        assert {act["tenant"] for act in acts} == set(tenant_ids)
        assert len(acts) == 9 * len(tenant_ids)
        assert await shelf.tenants.all() == []


async def test_origins_of_every_shard_of_a_cluster_are_known(
    cluster: RedisServer, tmp_path: Path, clock: HeldClock
) -> None:
    """They are read from all shards at once."""
    tenant_ids = [f"tenant-{n:02d}" for n in range(20)]
    async with open_shelf(cluster.url, tmp_path, clock) as shelf:
        index = await OriginIndex.opened(shelf.redis, shelf.identity.epoch_id)
        for tenant_id in tenant_ids:
            await shelf.caller(tenant_id)
            await named(shelf, tenant_id, APP)

        assert await seen(shelf, index, *tenant_ids) == [True] * 21


async def test_tenants_read_on_every_shard_of_a_cluster(
    cluster: RedisServer, tmp_path: Path, clock: HeldClock
) -> None:
    """Reads are counted, lists and accounts looked at, tasks followed and forgotten."""
    async with open_shelf(cluster.url, tmp_path, clock) as shelf:
        for tenant_id in (f"tenant-{n:02d}" for n in range(20)):
            await read_of(shelf, tenant_id)

    books = read_books(f"unix://{cluster.socket_path}")
    assert (books.tasks, books.ledgers, books.retiring) == ({}, {}, set())
    assert not any(books.lists.values())


async def tell(shelf: Shelf, tenant_id: str) -> None:
    """Let an endpoint of a tenant fail, be told again, have another secret, and be deleted."""
    hooks, worker = await hooks_on(shelf, tenant_id), Worker(shelf)
    webhook_id = await hooks.add(URL)
    (message_id,) = await hooks.enqueue()
    assert await worker.one_round(FAULTY, tenant_id=tenant_id) == 1
    await hooks.change(webhook_id, disabled=True)
    await hooks.change(webhook_id, disabled=False)
    asker = hooks.act()
    await hooks.webhooks.rotate(webhook_id, fresh_secret(), old_until_ms=0, asker=asker)
    assert await hooks.redeliver(webhook_id, id=message_id) == 1
    assert (await worker.queue.backlog(now_ms=shelf.clock.now_ms()))[0] == 1
    assert await worker.one_round(OK, tenant_id=tenant_id) == 1
    assert await hooks.states(webhook_id) == {"delivered": 1}
    await hooks.webhooks.delete(webhook_id, asker)
    assert await hooks.webhooks.all(asker) == []


async def test_endpoints_are_told_on_every_shard_of_a_cluster(
    cluster: RedisServer, tmp_path: Path, clock: HeldClock
) -> None:
    """Made, claimed, told, recorded, delivered again and deleted."""
    async with open_shelf(cluster.url, tmp_path, clock) as shelf:
        for tenant_id in (f"tenant-{n:02d}" for n in range(20)):
            await tell(shelf, tenant_id)


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


async def act_on_all(bed: Bed, key: str) -> None:
    """Let operators and a tenant do what no other line of the test below does."""
    store, now_ms = bed.gateway.store, bed.clock.now_ms()
    caller = await store.keys.find_caller(key, "live")
    assert caller is not None
    await store.meter.take_read(caller, now_ms=now_ms)
    await store.reads.page("failed", "m", first=0, last=9, caller=caller, now_ms=now_ms)
    await store.accounts.of_caller(caller, windows(now_ms), now_ms=now_ms)
    await bed.switch("acme", disabled=True)
    await store.manage_tenants.show_secret("acme", GATEWAY)
    await store.manage_tenants.rotate_secret("acme", Grace(), GATEWAY)
    await store.manage_keys.rotate("acme", caller.key_id, Grace(), GATEWAY)
    bed.clock.advance_ms(bed.gateway.settings.retention_days * 86_400_000)
    await bed.work()
    await store.manage_tenants.delete("acme", force=True, by=GATEWAY)


@pytest.mark.unaudited("its tasks are forgotten in the end")
async def test_no_script_is_ever_called_across_hash_slots(bed: Bed, recorded: Redis) -> None:
    """What a server without a cluster lets pass is looked at call by call."""
    key = await bed.key(creates_per_minute=9)
    await bed.created(key, character("seconds:1"), idempotency_key="one")
    bed.vendor.fault("commit_then_status", times=1)
    task_id = await bed.created(key)
    await bed.create(key, idempotency_key="one")
    await bed.pass_time(3)
    await bed.read(key, task_id)
    await act_on_all(bed, key)

    commands = [entry["command"] for entry in await recorded.slowlog_get(10_000)]

    calls = [keys_of(each) for each in commands if each.startswith((b"EVALSHA", b"EVAL "))]
    assert len(calls) >= 20
    assert [call for call in calls if len({key_slot(name) for name in call}) != 1] == []


async def test_news_are_told_on_a_cluster(cluster_bed: Bed) -> None:
    """To a task's stream, to a tenant's, to who returns, and to who has missed too much."""
    bed = cluster_bed
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:0"))
    async with (
        Listening(bed.app, f"/v1/tasks/{task_id}/events", key) as of_task,
        Listening(bed.app, "/v1/events", key) as of_tenant,
    ):
        opening = of_tenant.text.last_id
        await bed.pass_time(5)
        await of_task.ended()
        await of_tenant.heard()
    for last_id in (opening, "1-1"):
        async with Listening(bed.app, "/v1/events", key, last_event_id=last_id) as again:
            await again.heard()
        assert again.events[0].data == of_tenant.events[0].data

    assert of_task.events[-1].id == of_tenant.events[0].id
