"""Real processes, one fleet a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fleet import Fleet, open_fleet
from tests.support.redis_server import RedisServer
from tests.support.shell import Said, Shell
from tests.support.vendor import Vendor

Run = Callable[..., Said]


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


@pytest.fixture
def reelgate(shell: Shell, redis_url: str, tmp_path: Path) -> Run:
    """Run a command on this test's store, with further variables if need be.

    What goes wrong is told in words.
    """
    environment = {"REELGATE_REDIS_URL": redis_url, "REELGATE_DATA_DIR": str(tmp_path)}

    def run(*words: str, **more: str) -> Said:
        said = shell.run(*words, environment=environment | more)
        assert "Traceback" not in said.err, said.err
        return said

    return run
