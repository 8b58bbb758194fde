"""What tests stand on: a real Redis and a served sandbox per process, a gateway per test."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.processors import JSONRenderer, add_log_level, format_exc_info

from app import failpoints
from app.clock import HeldClock
from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, open_bed, settings_for
from tests.support.daytime import daytime_ms
from tests.support.key_lives import keys_that_never_end
from tests.support.redis_server import RedisServer
from tests.support.vendor import Vendor

FORBID_SKIPS = "REELGATE_TEST_FORBID_SKIPS"

OpenBed = Callable[..., AbstractAsyncContextManager[Bed]]


def pytest_configure() -> None:
    """Keep the settings of the person at the keyboard out of the tests, and log plainly.

    The log library's own choice draws every traceback with all local variables: a second each.
    """
    for name in [name for name in os.environ if name.startswith("REELGATE_")]:
        if name != FORBID_SKIPS:
            del os.environ[name]
    structlog.configure(processors=[add_log_level, format_exc_info, JSONRenderer()])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Turn a skipped test into a failed one where skips are forbidden."""
    report = yield
    if report.skipped and os.environ.get(FORBID_SKIPS) and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which is forbidden here: {report.longrepr}"
    return report


def pytest_collection_finish() -> None:
    """Keep the collector away from thousands of tests that live to the end anyway."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The server that all tests of this process share; each finds it empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def served_vendor() -> Iterator[Vendor]:
    """The sandbox that all tests of this process share."""
    with running_sandbox(SandboxOptions(default_seconds=4)) as sandbox:
        vendor = Vendor(sandbox.url)
        yield vendor
        vendor.close()


@pytest.fixture
def vendor(served_vendor: Vendor) -> Vendor:
    """A sandbox without faults and with an empty journal."""
    served_vendor.sweep()
    return served_vendor


@pytest.fixture
def clock() -> HeldClock:
    """A clock that stands still; see `daytime_ms`."""
    return HeldClock(daytime_ms())


@pytest.fixture
def open_gateway_bed(
    request: pytest.FixtureRequest,
    redis_url: str,
    vendor: Vendor,
    clock: HeldClock,
    tmp_path: Path,
) -> Iterator[OpenBed]:
    """Open gateways with settings of their own; several share store, vendor and clock.

    Afterwards the books are audited, unless the test is marked as one that spoils them.
    """
    beds: list[Bed] = []

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncIterator[Bed]:
        settings = settings_for(redis_url, tmp_path, vendor.url, **changes)
        async with open_bed(settings, clock, vendor) as bed:
            beds.append(bed)
            yield bed

    yield opened
    failpoints.arm({})
    if request.node.get_closest_marker("unaudited") is None:
        answers = [answer for bed in beds for answer in bed.acknowledged]
        assert audit(read_books(redis_url), vendor.journal(), answers) == []


@pytest.fixture
async def bed(open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """A gateway that moves only when told to; afterwards no key may be left to live for ever."""
    async with open_gateway_bed() as opened:
        yield opened
        left = await keys_that_never_end(opened.gateway.store.redis)
    assert left == [], "these keys have no expiry and are not named permanent in app/store/keys.py"
