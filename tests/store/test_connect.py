"""Redis clients: sent once, never hanging, and no reply for the wrong caller."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.store.connect import NoConnectionFree, connect
from tests.support.redis_server import FORMS, RedisServer, Relay, relayed
from tests.support.wait import wait_until

CONNECT_S, CALL_S = 0.25, 0.4
# For tests whose subject is not a deadline: a busy machine must not run into one.
PATIENT: dict[str, Any] = {"connect_timeout_s": 20.0, "call_timeout_s": 20.0}
# Beyond its deadlines a call may take what a busy machine needs to wake it up.
SLACK_S = 1.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One plain server for the whole file."""
    with RedisServer(tcp=True) as running:
        yield running


@pytest.fixture(scope="module")
def node() -> Iterator[RedisServer]:
    """A cluster of one node for the whole file."""
    with RedisServer(cluster=True) as running:
        yield running


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    """Each form of address in turn."""
    return str(request.param)


@asynccontextmanager
async def reached(
    form: str, server: RedisServer, node: RedisServer, **deadlines: float
) -> AsyncIterator[tuple[Redis, RedisServer, Relay]]:
    """Open a client by one form of address, whose every command goes through a relay."""
    target = node if form == "redis+cluster" else server
    target.flush()
    async with relayed(form, target) as (url, relay):
        client = connect(url, max_connections=8, **(PATIENT | deadlines))
        try:
            await wait_until(lambda: warmed_up(client), describing="the first answer")
            yield client, target, relay
        finally:
            await client.aclose()


async def warmed_up(client: Redis) -> bool:
    """Make one call, which may be late."""
    with suppress(RedisTimeoutError, RedisConnectionError):
        await client.get("{a}warm")
        return True
    return False


def pools(client: Redis) -> list[Any]:
    """Return the pool of the store and those of the sentinels, if any."""
    own: Any = client.connection_pool
    manager = getattr(own, "sentinel_manager", None)
    return [own, *(watcher.connection_pool for watcher in (manager.sentinels if manager else ()))]


def every_connection(client: Redis) -> list[AbstractConnection]:
    """Build, without dialling, a connection on every path the client has."""
    if isinstance(client, RedisCluster):
        return [each.acquire_connection() for each in client.startup_nodes]
    return [pool.make_connection() for pool in pools(client)]


def held_connections(client: Redis) -> list[AbstractConnection]:
    """Return every connection that the client has made and not forgotten."""
    if isinstance(client, RedisCluster):
        nodes = {**client.nodes_manager.nodes_cache, **client.nodes_manager.startup_nodes}
        return [each for node in nodes.values() for each in node._connections]
    return [each for pool in pools(client) for each in pool._available_connections]


async def echoes(client: Redis, word: bytes) -> bool:
    """Say whether `word` comes back, from a call of its own or from two in a pipeline."""
    if len(set(word)) % 2:
        return bool(await client.execute_command("ECHO", word) == word)
    async with client.pipeline(transaction=False) as pipe:
        return bool(await pipe.echo(word).echo(word).execute() == [word, word])


@pytest.mark.parametrize(
    ("url", "paths"),
    [
        ("redis://h", 1),
        ("rediss://h", 1),
        ("unix:///s", 1),
        ("redis+sentinel://h:1,i:2/main", 3),
        ("redis+cluster://127.0.0.1:1,127.0.0.1:2", 2),
    ],
)
def test_every_path_has_no_repeats_and_explicit_deadlines(url: str, paths: int) -> None:
    """Whatever the address, each connection is made with our rules and not the library's."""
    client = connect(url, connect_timeout_s=0.2, call_timeout_s=0.9)

    connections = every_connection(client)

    assert len(connections) == paths
    for connection in connections:
        assert connection.retry.get_retries() == 0
        assert connection.retry_on_error == []
        assert not connection.retry_on_timeout
        assert (connection.socket_connect_timeout, connection.socket_timeout) == (0.2, 0.9)
        assert (connection.protocol, connection.client_name) == (2, "reelgate")
        assert connection.health_check_interval == 0
        assert not connection.encoder.decode_responses
        assert connection._maint_notifications_connection_handler is None
    retry = client.retry if isinstance(client, RedisCluster) else client.get_retry()
    assert retry is not None
    assert retry.get_retries() == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", {"host": "h", "port": 6379, "db": 0, "username": None, "password": None}),
        ("redis://:p%40s@h:7/3", {"port": 7, "db": 3, "username": None, "password": "p@s"}),
        ("redis://u:p@[::1]:7?db=4", {"host": "::1", "db": 4, "username": "u"}),
        ("REDIS://h/", {"host": "h", "db": 0}),
        ("rediss://h?ssl_ca_certs=%2Fca.pem", {"host": "h", "port": 6379}),
        ("unix://u:p@/run/a%20b.sock?db=2", {"path": "/run/a b.sock", "db": 2, "password": "p"}),
        ("redis+sentinel://u:p@h,i:2/main?db=5", {"db": 5, "username": "u", "password": "p"}),
        ("redis+cluster://u:p@127.0.0.1:7", {"port": 7, "username": "u", "password": "p"}),
    ],
)
def test_an_address_is_read_in_all_its_parts(url: str, expected: dict[str, object]) -> None:
    """Host, port, database and login arrive where they belong, decoded."""
    connection = every_connection(connect(url))[0]

    assert {name: getattr(connection, name) for name in expected} == expected


def test_sentinels_have_a_login_of_their_own() -> None:
    """The primary's password is not shown to the sentinels, nor theirs to it."""
    url = "redis+sentinel://u:p@h/main?sentinel_username=su&sentinel_password=s%26p"

    primary, sentinel = every_connection(connect(url))

    assert (primary.username, primary.password) == ("u", "p")
    assert (sentinel.username, sentinel.password) == ("su", "s&p")


async def test_login_and_database_are_those_of_the_address(server: RedisServer) -> None:
    """A user with a password reaches the named database under our client name."""
    server.call("ACL", "SETUSER", "u", "on", ">p@s/s", "~*", "+@all")
    client = connect(f"redis://u:p%40s%2Fs@127.0.0.1:{server.port}/3", **PATIENT)

    (us,) = await client.client_list()
    await client.aclose()

    assert (us["user"], us["db"], us["name"]) == ("u", "3", "reelgate")


async def test_what_lost_its_reply_has_run_once(
    form: str, server: RedisServer, node: RedisServer
) -> None:
    """The connection closes after a command or pipeline ran: its caller is told, nobody repeats."""
    async with reached(form, server, node) as (client, target, relay):
        relay.fatal_word = b"INCR"
        with pytest.raises(RedisConnectionError):
            await client.incr("{a}once")
        after_command = target.call("GET", "{a}once")
        relay.fatal_word = b"INCR"
        with pytest.raises(RedisConnectionError):
            async with client.pipeline(transaction=False) as pipe:
                await pipe.incr("{a}once").incr("{a}once").execute()
        after_pipeline = target.call("GET", "{a}once")

        assert (after_command, after_pipeline) == (b"$1\r\n1\r\n", b"$1\r\n3\r\n")
        assert await client.incr("{a}once") == 4


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_frozen_server_holds_nobody_beyond_the_deadlines(
    form: str, fresh: bool, server: RedisServer, node: RedisServer
) -> None:
    """With the server stopped a call ends in time, on an open or a new connection."""
    deadlines = {"connect_timeout_s": CONNECT_S, "call_timeout_s": CALL_S}
    async with reached(form, server, node, **deadlines) as (client, target, _):
        if fresh and not isinstance(client, RedisCluster):
            await client.connection_pool.disconnect()
        target.freeze()
        try:
            began_s = time.monotonic()
            with pytest.raises((RedisConnectionError, RedisTimeoutError)):
                await client.incr("{a}frozen")
            took_s = time.monotonic() - began_s
        finally:
            target.thaw()

        assert took_s < CONNECT_S + CALL_S + SLACK_S


async def test_a_connection_reset_while_idle_is_replaced(server: RedisServer) -> None:
    """A killed server leaves dead connections in the pool; once it is back no call meets one."""
    async with Relay(server) as relay:
        client = connect(f"redis://127.0.0.1:{relay.port}", **PATIENT)
        await client.echo("open")
        (idle,) = held_connections(client)
        writer: Any = idle._writer
        relay.reset()
        await wait_until(writer.is_closing, describing="the reset to arrive")

        assert await client.echo("again") == b"again"
        await client.aclose()


async def test_a_cluster_out_of_reach_is_a_connection_error() -> None:
    """The cluster client fails like the others, not with a kind of error of its own."""
    client = connect("redis+cluster://127.0.0.1:1")

    with pytest.raises(RedisConnectionError, match="cannot be connected"):
        await client.get("a")

    await client.aclose()


async def test_a_cancelled_call_leaves_no_reply_for_the_next_caller(server: RedisServer) -> None:
    """Of 2,000 calls cut off anywhere none gets another's reply, and no cancellation is lost."""
    chance = random.Random(1)
    right: list[bool] = []

    async def cut_off(call: asyncio.Task[bool]) -> bool:
        await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.008))))
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        was_cut_off = call.cancel()
        with suppress(asyncio.CancelledError):
            right.append(await call)
        return was_cut_off == call.cancelled()

    async with Relay(server) as relay, asyncio.TaskGroup() as calls:
        relay.reply_delay_s = lambda: chance.choice((0.0, 0.0, 0.001))
        client = connect(f"unix://{relay.socket_path}", max_connections=16, **PATIENT)
        for first in range(0, 2_000, 50):
            words = [str(word).encode() for word in range(first, first + 50)]
            tasks = [calls.create_task(echoes(client, word)) for word in words]
            assert all(await asyncio.gather(*map(cut_off, tasks)))
        pool: Any = client.connection_pool
        assert pool._in_use_connections == set()
        right.append(await echoes(client, b"after"))
        await client.aclose()

    assert all(right)


@pytest.mark.parametrize("cancelled", [True, False])
async def test_half_a_command_is_not_followed_by_another(
    cancelled: bool, server: RedisServer
) -> None:
    """Cut off while its bytes are leaving, by its caller or by the deadline, a command is gone."""
    server.flush()
    deadlines = PATIENT if cancelled else PATIENT | {"call_timeout_s": CALL_S}
    client = connect(f"unix://{server.socket_path}", max_connections=1, **deadlines)
    await client.get("big")
    server.freeze()
    try:
        with pytest.raises(TimeoutError if cancelled else RedisTimeoutError):
            async with asyncio.timeout(CALL_S / 3 if cancelled else None):
                await client.set("big", bytes(4 * 1024**2))
    finally:
        server.thaw()

    assert await client.echo("next") == b"next"
    assert await client.get("big") is None
    await client.aclose()


async def test_a_call_waits_only_so_long_for_a_free_connection(server: RedisServer) -> None:
    """With every connection busy a call fails in time and says that nothing was sent."""
    client = connect(f"unix://{server.socket_path}", call_timeout_s=CALL_S, max_connections=1)
    busy = await client.connection_pool.get_connection()

    began_s = time.monotonic()
    with pytest.raises(NoConnectionFree):
        await client.ping()
    took_s = time.monotonic() - began_s
    await client.connection_pool.release(busy)

    assert CALL_S <= took_s < CALL_S + SLACK_S
    assert await client.echo("free") == b"free"
    await client.aclose()


async def test_a_connection_freed_for_a_cancelled_caller_goes_to_the_next(
    server: RedisServer,
) -> None:
    """Who was to have it is cancelled at that moment, and the one behind gets it at once."""
    client = connect(f"unix://{server.socket_path}", max_connections=1, **PATIENT)
    busy = await client.connection_pool.get_connection()

    async with asyncio.TaskGroup() as calls:
        first = calls.create_task(client.echo("first"))
        second = calls.create_task(client.echo("second"))
        await asyncio.sleep(0)
        await client.connection_pool.release(busy)
        first.cancel()
        async with asyncio.timeout(PATIENT["call_timeout_s"] / 2):
            assert await second == b"second"

    assert first.cancelled()
    await client.aclose()


async def test_scripts_and_pipelines_run_on_a_cluster(node: RedisServer) -> None:
    """Keys of one hash tag go through EVALSHA, and reads of many slots through a pipeline."""
    node.call("CONFIG", "SET", "cluster-announce-port", 0)
    client = connect(node.url, max_connections=2, **PATIENT)
    digest = await client.script_load("return redis.call('INCRBY', KEYS[1], ARGV[1])")

    totals = await asyncio.gather(*(client.evalsha(digest, 1, "{s01}n", 1) for _ in range(50)))
    async with client.pipeline(transaction=False) as pipe:
        seen = await pipe.get("{s01}n").get("{s02}n").execute()

    assert sorted(totals) == list(range(1, 51))
    assert seen == [b"50", None]
    await client.aclose()


async def test_closing_a_client_leaves_no_connection(
    form: str, server: RedisServer, node: RedisServer
) -> None:
    """Even after a failed call nothing stays open, neither to the store nor to a sentinel."""
    async with reached(form, server, node) as (client, _, relay):
        relay.fatal_word = b"INCR"
        with pytest.raises(RedisConnectionError):
            await client.incr("{a}n")
        await client.get("{a}n")
        relay.fatal_word = b"INCR"
        with pytest.raises(RedisConnectionError):
            await asyncio.gather(client.incr("{a}n"), client.get("{a}n"))

        await client.aclose()

        held = held_connections(client)
        assert held
        assert not any(connection.is_connected for connection in held)
