"""A Redis of their own for the tests of the command line that spoil it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def durable_server() -> Iterator[RedisServer]:
    """A Redis that keeps every promise, until a test tells it otherwise."""
    with RedisServer(durable=True, tcp=True) as server:
        yield server


@pytest.fixture
def server(durable_server: RedisServer) -> Iterator[RedisServer]:
    """That Redis, empty, for the test to spoil."""
    durable_server.flush()
    yield durable_server
    durable_server.call("ACL", "SETUSER", "default", "+@all")
    durable_server.call("CONFIG", "SET", "appendfsync", "always")
    durable_server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    durable_server.call("REPLICAOF", "NO", "ONE")
