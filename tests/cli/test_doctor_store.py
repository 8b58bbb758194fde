"""`reelgate doctor` and the store: each finding is provoked on a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from app.cli.doctor_store import check_store, judge_clock, judge_durability, judge_version
from app.cli.findings import KINDS, Level, Notes
from app.clock import StoreClock
from app.domain.balance import Comparison, Look
from app.store.balance import BalanceStore
from app.store.embedded import open_embedded
from app.store.epoch import known_epoch
from app.store.keys import Shard, windows
from tests.cli.claiming import claim
from tests.support.bed import settings_for
from tests.support.redis_server import RedisServer, free_port

NOWHERE = "http://127.0.0.1:1"
PASSWORD = "canary-redis-password-0001"


async def found_in_store(redis_url: str, folder: Path, **changes: Any) -> dict[str, str]:
    """Check one store and return the messages by identifier."""
    note = Notes()
    await check_store(settings_for(redis_url, folder, NOWHERE, **changes), note)
    return {each.id: each.message for each in note.findings}


async def test_an_empty_store_is_left_empty(server: RedisServer, tmp_path: Path) -> None:
    """The doctor looks at a new store without making it ours."""
    found = await found_in_store(server.url, tmp_path)

    assert "store-new" in found
    assert server.call("DBSIZE") == b":0\r\n"
    assert known_epoch(tmp_path, "") is None


async def test_an_emptied_store_is_foreign(server: RedisServer, tmp_path: Path) -> None:
    """A store that lost its contents is not taken for a new one."""
    epoch = await claim(server.url, tmp_path)
    server.flush()

    found = await found_in_store(server.url, tmp_path)

    assert epoch in found["store-foreign"]


async def test_an_exchanged_store_is_foreign(server: RedisServer, tmp_path: Path) -> None:
    """A store that carries another epoch than the one known here is not ours."""
    epoch = await claim(server.url, tmp_path)

    found = await found_in_store(server.url, tmp_path, store_epoch="f" * 32)

    assert found["store-foreign"] == f"the store carries epoch {epoch}, expected {'f' * 32}"


async def test_a_store_of_another_version_is_foreign(server: RedisServer, tmp_path: Path) -> None:
    """A store that was laid out by another schema is not worked on."""
    await claim(server.url, tmp_path)
    server.call("HSET", "rg:meta", "schema", "999")

    found = await found_in_store(server.url, tmp_path)

    assert "999" in found["store-foreign"]


async def test_a_used_store_without_a_known_epoch_is_pointed_out(
    server: RedisServer, tmp_path: Path
) -> None:
    """Where nothing here says that a store is ours, the operator is asked to make sure."""
    await claim(server.url, tmp_path / "elsewhere")

    found = await found_in_store(server.url, tmp_path / "here")

    assert "store-not-pinned" in found


async def test_a_server_without_append_only_file_is_not_persistent(
    redis_url: str, tmp_path: Path
) -> None:
    """The shared test server keeps nothing on disk, and that is said."""
    found = await found_in_store(redis_url, tmp_path)

    assert "appendonly is not yes" in found["store-not-persistent"]
    assert "store-durable" not in found


async def test_a_server_that_syncs_late_is_not_persistent(
    server: RedisServer, tmp_path: Path
) -> None:
    """Syncing once a second loses a second."""
    server.call("CONFIG", "SET", "appendfsync", "everysec")

    found = await found_in_store(server.url, tmp_path)

    assert "appendfsync is everysec" in found["store-not-persistent"]


async def test_a_server_that_evicts_is_an_error(server: RedisServer, tmp_path: Path) -> None:
    """Throwing away limits to save memory is no option."""
    server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    found = await found_in_store(server.url, tmp_path)

    assert "allkeys-lru" in found["store-evicts"]


@pytest.mark.parametrize("command", ["config", "info"])
async def test_a_server_that_hides_its_configuration_is_not_called_durable(
    server: RedisServer, tmp_path: Path, command: str
) -> None:
    """As with managed servers: what cannot be seen is neither praised nor blamed."""
    server.call("ACL", "SETUSER", "default", f"-{command}")

    found = await found_in_store(server.url, tmp_path)

    assert "store-config-hidden" in found
    assert not {"store-durable", "store-not-persistent", "check-failed"} & found.keys()


async def test_a_replica_is_an_error(server: RedisServer, tmp_path: Path) -> None:
    """After a failover the old address may name a server that takes no writes."""
    server.call("REPLICAOF", "127.0.0.1", free_port())

    found = await found_in_store(server.url, tmp_path)

    assert "store-read-only" in found


async def test_a_frozen_server_is_unreachable(server: RedisServer, tmp_path: Path) -> None:
    """A server that accepts connections and answers nothing does not hold the doctor up."""
    server.freeze()
    try:
        found = await found_in_store(server.url, tmp_path, redis_timeout_s=0.1)
    finally:
        server.thaw()

    assert list(found) == ["store-unreachable"]


async def test_every_primary_of_a_cluster_is_looked_at(tmp_path: Path) -> None:
    """Each has a configuration of its own, so the finding names the node."""
    with RedisServer(cluster=True) as server:
        found = await found_in_store(server.url, tmp_path)

    assert f"127.0.0.1:{server.port} loses" in found["store-not-persistent"]
    assert "check-failed" not in found


async def test_a_malformed_address_is_refused_unquoted(tmp_path: Path) -> None:
    """The rule is told, not the address, which holds a password."""
    found = await found_in_store(f"redis://:{PASSWORD}@host:port", tmp_path)

    assert PASSWORD not in found["settings-refused"]


async def test_an_embedded_store_is_started_for_the_check_only(tmp_path: Path) -> None:
    """A store that does not run is started and stopped again, and the finding says so."""
    found = await found_in_store("", tmp_path)

    assert "started for this check only" in found["store-ok"]
    assert {"store-new", "store-durable"} <= found.keys()
    with open_embedded(tmp_path) as store:
        assert not store.joined


async def test_a_running_embedded_store_is_joined(tmp_path: Path) -> None:
    """A store somebody uses is looked at and left running."""
    with open_embedded(tmp_path) as store:
        found = await found_in_store("", tmp_path)

        assert store.is_running()
    assert "started" not in found["store-ok"]


async def test_an_embedded_store_that_cannot_start_is_unreachable(tmp_path: Path) -> None:
    """A data directory that is none is named."""
    occupied = tmp_path / "file"
    occupied.touch()

    found = await found_in_store("", occupied)

    assert str(occupied) in found["store-unreachable"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"redis_version": "6.2.14"}, ["store-too-old"]),
        ({"redis_version": "7.0.0"}, []),
        ({"redis_version": "10.0.1"}, []),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, []),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.0"}, ["store-too-old"]),
        ({}, []),
    ],
)
def test_servers_older_than_what_the_scripts_need_are_named(
    facts: dict[str, str], expected: list[str]
) -> None:
    """Valkey goes by its own version, not by the one it shows for the sake of old clients."""
    note = Notes()

    judge_version(facts, "the server", note)

    assert [each.id for each in note.findings] == expected


def test_nothing_known_of_durability_means_nothing_said() -> None:
    """Without facts there is no verdict."""
    note = Notes()

    judge_durability({}, None, "the server", note)

    assert note.findings == []


@pytest.mark.parametrize(
    ("ahead_ms", "expected", "text"),
    [
        (-999.0, "clock-ok", "agree"),
        (1500.0, "clock-skewed", "1.5 s ahead of"),
        (-61_000.0, "clock-skewed", "61.0 s behind"),
    ],
)
def test_clocks_may_differ_by_a_second(ahead_ms: float, expected: str, text: str) -> None:
    """More than that is worth a warning, in either direction."""
    note = Notes()

    judge_clock(ahead_ms, note)

    assert [each.id for each in note.findings] == [expected]
    assert text in note.findings[0].message


async def test_books_in_order_show_no_drift(server: RedisServer, tmp_path: Path) -> None:
    """A store that nobody has spoilt accounts for everything."""
    await claim(server.url, tmp_path)

    found = await found_in_store(server.url, tmp_path)

    assert "drift-none" in found
    assert "drift-found" not in found


async def test_a_leaked_reservation_is_an_error(server: RedisServer, tmp_path: Path) -> None:
    """It is named with its tenant, month and both amounts."""
    await claim(server.url, tmp_path)
    shard, month = Shard.of("acme"), windows(StoreClock().now_ms())[1]
    server.call("SADD", shard.tenants, "acme")
    server.call("HSET", shard.usage("acme", "live", month), "held", 1_500_000)

    found = await found_in_store(server.url, tmp_path)

    assert found["drift-found"] == (
        f"acme (live) has 1.5 credits reserved in {month}, its open tasks hold 0"
    )
    assert "drift-none" not in found
    assert KINDS["drift-found"].level is Level.ERROR


@pytest.mark.parametrize(
    ("settled", "identifier"), [(5_000_000, "balance-compared"), (1_000_000, "balance-differs")]
)
async def test_the_last_comparison_with_the_vendor_is_a_hint(
    server: RedisServer, tmp_path: Path, settled: int, identifier: str
) -> None:
    """Both amounts and the day they are of; a warning where they are far apart, never an error."""
    await claim(server.url, tmp_path)
    at_ms = StoreClock().now_ms()
    async with Redis.from_url(server.url) as redis:
        told = Comparison(at_ms - 86_400_000, at_ms, 5_000_000, settled)
        await BalanceStore(redis).keep(Look(at_ms, {}, {}, told))

    found = await found_in_store(server.url, tmp_path)

    assert f"the vendor counted 5 credits, we settled {settled // 1_000_000}" in found[identifier]
    assert KINDS[identifier].level is not Level.ERROR


@pytest.mark.parametrize(("age_s", "is_late"), [(60, False), (300, True)])
async def test_messages_that_nobody_sends_are_a_warning(
    server: RedisServer, tmp_path: Path, age_s: int, is_late: bool
) -> None:
    """Two minutes are given: an engine looks twice a second."""
    await claim(server.url, tmp_path)
    shard, due_ms = Shard.of("acme"), StoreClock().now_ms() - age_s * 1000
    server.call("ZADD", shard.deliveries, due_ms, "acme live we_0123456789abcdef")
    server.call("ZADD", shard.due("acme", "live", "we_0123456789abcdef"), due_ms, "msg_x")

    found = await found_in_store(server.url, tmp_path)

    assert ("deliveries-late" in found) == is_late
    if is_late:
        assert "a message is due to webhooks, the oldest for 30" in found["deliveries-late"]
