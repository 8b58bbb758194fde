"""After every story the books are audited: vendor's journal, ledgers, counters and schedules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import OpenBed
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed
from tests.support.hooks import LOOPBACK
from tests.support.receiver import ReceiverServer, open_receiver
from tests.support.vendor import Vendor


@pytest.fixture
def store_url(redis_url: str) -> str:
    """The store whose books are audited; a file with a server of its own names that one."""
    return redis_url


@pytest.fixture(autouse=True)
def audited(
    request: pytest.FixtureRequest, store_url: str, redis_url: str, vendor: Vendor
) -> Iterator[None]:
    """Whatever went wrong in the story: nothing sent twice, nothing forgotten, no drift."""
    yield
    # Whoever opens gateways by the fixture has been audited already.
    done = "open_gateway_bed" in request.fixturenames and store_url == redis_url
    if not done and request.node.get_closest_marker("unaudited") is None:
        assert audit(read_books(store_url), vendor.journal()) == []


@pytest.fixture
async def receiver() -> AsyncIterator[ReceiverServer]:
    """A receiver that takes whatever comes."""
    async with open_receiver() as opened:
        yield opened


@pytest.fixture
async def hooked(open_gateway_bed: OpenBed, receiver: ReceiverServer) -> AsyncIterator[Bed]:
    """A gateway that may deliver to this machine; what a receiver holds up ends before it does."""
    async with open_gateway_bed(webhook=LOOPBACK) as opened:
        yield opened
        await receiver.end()
