"""Processes, stores and vendors that may be killed: each test has its own durable store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fleet import Fleet, open_fleet
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor


@pytest.fixture
async def fleet(vendor: Vendor, tmp_path: Path) -> AsyncIterator[Fleet]:
    """A store that syncs every write, a vendor without faults, and no gateway yet."""
    with RedisServer(durable=True) as redis:
        async with open_fleet(tmp_path, redis, vendor) as opened:
            yield opened


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, whatever order was drawn: nobody waits for it at the end."""
    items.sort(key=lambda item: "test_ops_small" not in item.nodeid)
