"""The one constructor of Redis clients, whatever the address: nothing is repeated, nothing hangs.

The client library repeats a lost command up to ten times by default, in every form of client. A
command without a reply may have run, so here it is sent once and its loss is the caller's to judge;
only a cluster's "not here" (MOVED, ASK, TRYAGAIN), which says that it did not run, is followed.

Bounds of one call, in this order: a free connection (the call's deadline), a new connection if none
is open (the connect deadline), each reply (the call's deadline).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from app.store.address import TLS_FILES, Address, parse_address

CLIENT_NAME = "reelgate"
CONNECT_TIMEOUT_S = 0.25
# A write is answered after its fsync, which a busy disk holds up for some hundred milliseconds: a
# shorter deadline turns slow writes into unknown outcomes, a longer one delays "try again".
CALL_TIMEOUT_S = 1.0
MAX_CONNECTIONS = 64

_NEVER = Retry(NoBackoff(), 0)


class NoConnectionFree(RedisConnectionError):
    """Every connection was busy until the deadline; the command was surely not sent."""


def connect(
    url: str,
    *,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    call_timeout_s: float = CALL_TIMEOUT_S,
    max_connections: int = MAX_CONNECTIONS,
) -> Redis:
    """Return a client for `url`; no connection is made before the first call.

    The cluster form is the library's cluster client, which offers the same commands, pipelines
    without transactions, and `aclose`. Cancelling a call closes its connection, so that a late
    reply can reach nobody.

    Raises:
        ValueError: `url` breaks a rule; the message quotes nothing of it, a password least of all.
    """
    address = parse_address(url)
    options: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_connect_timeout": connect_timeout_s,
        "socket_timeout": call_timeout_s,
        # With RESP2 a reply is a reply: the server cannot push anything between them.
        "protocol": 2,
        "client_name": CLIENT_NAME,
        "driver_info": None,
        "decode_responses": False,
        "health_check_interval": 0,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if address.scheme == "redis+cluster":
        return cast(Redis, _Cluster(address.nodes, max_connections, options))
    options |= {"retry": _NEVER, "max_connections": max_connections, "wait_s": call_timeout_s}
    if address.scheme == "redis+sentinel":
        return _sentinel_client(address, options)
    return Redis.from_pool(_Pool(db=address.db, **_target(address), **options))


async def own_connection(client: Redis) -> AbstractConnection:
    """Return a new connection that the client does not count: for a subscription, say.

    Whoever asks for it closes it. On a cluster it leads to any node, as what is published on one
    is heard on all.

    Raises:
        RedisError, OSError: none could be made.
    """
    connection: AbstractConnection
    if isinstance(client, _Cluster):
        await client.initialize()
        node = secrets.choice(client.get_nodes())
        connection = node.connection_class(**node.connection_kwargs | {"retry": _NEVER})
    else:
        connection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    await connection.connect()  # type: ignore[no-untyped-call]
    return connection


def redacted(url: str) -> str:
    """Return `url` without user, password and query, for logs and reports."""
    try:
        address = parse_address(url)
    except ValueError:
        return "(not a Redis address)"
    return f"{address.scheme}://{address.hosts}{address.path}"


class _Slots:
    """So many calls at a time, and a bounded wait for a place."""

    def __init__(self, count: int, wait_s: float) -> None:
        self._free = asyncio.Semaphore(count)
        self._wait_s = wait_s

    async def take(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as failure:
            raise NoConnectionFree(f"no connection was free for {self._wait_s} s") from failure

    def release(self) -> None:
        self._free.release()


class _Prompt(AbstractConnection):
    """A connection that notices a cancellation while sending, and ends when it is cut off.

    The library sends in a task of its own; on Python 3.11 a cancellation that arrives as that task
    ends is lost, and the task costs as much as the rest of the call.
    """

    fell_silent = False
    """Whether a deadline passed without a reply since the pool last asked."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except RedisTimeoutError:
            self.fell_silent = True
            raise

    async def disconnect(self, nowait: bool = False, *args: Any, **options: Any) -> None:
        if nowait and self._writer is not None:
            # Closing alone would still send what is left, whenever the other side reads again.
            self._writer.transport.abort()
        await super().disconnect(nowait, *args, **options)

    async def can_read(self) -> bool:
        # The pool's question before reuse, "is anything wrong with it?". The library's notices a
        # connection that was closed, not one that was reset.
        return self._writer is None or self._writer.is_closing() or await super().can_read()

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        writer = self._writer
        assert writer is not None  # noqa: S101 - connected, as of the lines above
        if writer.is_closing():
            # Writing to it is a RuntimeError on uvloop, which nobody takes for a lost store.
            await self.disconnect(nowait=True)
            raise RedisConnectionError("the connection was reset")
        if isinstance(command, str):
            command = command.encode()
        try:
            async with asyncio.timeout(self.socket_timeout):
                writer.writelines([command] if isinstance(command, bytes) else command)
                await writer.drain()
        except BaseException as failure:
            # Half a command may have left; the next one must not follow it.
            await self.disconnect(nowait=True)
            if isinstance(failure, TimeoutError):
                raise RedisTimeoutError("Redis took no bytes within the deadline") from failure
            if isinstance(failure, OSError):
                raise RedisConnectionError(f"the connection broke: {failure}") from failure
            raise


class _Tcp(_Prompt, Connection):
    """Plain TCP."""


class _Tls(_Prompt, SSLConnection):
    """TLS."""


class _Unix(_Prompt, UnixDomainSocketConnection):
    """A unix socket."""


class _Watched(_Prompt, SentinelManagedConnection):
    """TCP to whichever server the sentinels call the primary."""


class _Pool(ConnectionPool):
    """A pool that waits, for a while, when every connection is busy.

    The library's own waiting pool loses a wake-up when the woken caller is cancelled at that
    moment: the others then wait to their deadline beside a free connection.
    """

    def __init__(self, *watched: Any, wait_s: float, **options: Any) -> None:
        super().__init__(*watched, **options)
        self._slots = _Slots(self.max_connections, wait_s)

    async def get_connection(
        self, command_name: Any = None, *keys: Any, **options: Any
    ) -> AbstractConnection:
        await self._slots.take()
        taken = self.get_available_connection()  # type: ignore[no-untyped-call] # the library's
        connection: AbstractConnection = taken
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        try:
            await super().release(connection)
            if isinstance(connection, _Prompt) and connection.fell_silent:
                connection.fell_silent = False
                await self._distrust()
        finally:
            self._slots.release()

    async def _distrust(self) -> None:
        """Close what is idle: where one connection died in silence, those beside it have too.

        Each would cost a call its whole deadline, long after the server is back.
        """
        for idle in list(self._available_connections):
            await idle.disconnect(nowait=True)


class _SentinelPool(_Pool, SentinelConnectionPool):
    """Connections to the primary; closing it closes the ones to the sentinels too."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _Cluster(RedisCluster):
    """The cluster client, with the bounds and the failures of the others."""

    def __init__(
        self, nodes: Iterable[tuple[str, int]], max_connections: int, options: dict[str, Any]
    ) -> None:
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in nodes],
            retry=_NEVER,
            # Pipelines and subscriptions take connections beside the calls that are counted here.
            max_connections=2 * max_connections,
            # The library's refresh after a few MOVED replies cuts every call under way.
            reinitialize_steps=0,
            **options,
        )
        # There is no parameter for it; nodes found later are built from these same options.
        self.connection_kwargs["connection_class"] = _Tcp
        for node in self.startup_nodes:
            node.connection_class = _Tcp
        self._slots = _Slots(max_connections, options["socket_timeout"])

    async def aclose(self) -> None:
        await super().aclose()
        # After a failed call the library's leaves the connections open.
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")

    async def initialize(self, *args: Any, **options: Any) -> RedisCluster:
        try:
            return await super().initialize(*args, **options)
        except RedisClusterException as failure:
            # The library's is no RedisError, so that whoever handles those would miss it.
            raise RedisConnectionError(str(failure)) from failure

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        await self._slots.take()
        try:
            return await super().execute_command(*args, **options)
        finally:
            self._slots.release()


def _sentinel_client(address: Address, options: dict[str, Any]) -> Redis:
    login = {
        "username": address.query.get("sentinel_username"),
        "password": address.query.get("sentinel_password"),
    }
    # Built here rather than by the library, whose own clients of the sentinels repeat ten times.
    sentinel = Sentinel([])  # type: ignore[no-untyped-call] # the library's
    sentinel.sentinels = [
        Redis.from_pool(_Pool(connection_class=_Tcp, host=host, port=port, **options | login))
        for host, port in address.nodes
    ]
    options |= {"connection_class": _Watched, "db": address.db}
    name = address.path.removeprefix("/")
    return cast(Redis, sentinel.master_for(name, connection_pool_class=_SentinelPool, **options))


def _target(address: Address) -> dict[str, Any]:
    if address.scheme == "unix":
        return {"connection_class": _Unix, "path": address.path}
    host, port = address.nodes[0]
    kind = _Tls if address.scheme == "rediss" else _Tcp
    files = {name: value for name, value in address.query.items() if name in TLS_FILES}
    return {"connection_class": kind, "host": host, "port": port, **files}
