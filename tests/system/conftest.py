"""Real processes, one fleet a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.fleet import Fleet, open_fleet
from tests.support.redis_server import RedisServer
from tests.support.shell import Shell
from tests.support.vendor import Vendor


@pytest.fixture
async def fleet(
    redis_server: RedisServer, redis_url: str, vendor: Vendor, tmp_path: Path
) -> AsyncIterator[Fleet]:
    """An empty store, a vendor without faults, and no gateway yet."""
    async with open_fleet(tmp_path, redis_server, vendor) as opened:
        yield opened


@pytest.fixture(scope="session")
def shell() -> Iterator[Shell]:
    """The process that the commands of all tests are forked from."""
    with Shell() as opened:
        yield opened
