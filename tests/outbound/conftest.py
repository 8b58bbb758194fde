"""What tests of the sender stand on: both event loops, a policy of loopback, a ready sender."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from app.domain.targets import TargetPolicy
from app.outbound.sender import Sender

LOOPBACK = TargetPolicy.parse("127.0.0.0/8", allow_http=True)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on the loop of the program and on the one Python brings."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    """A sender that may call loopback over http, on any port."""
    opened = Sender(LOOPBACK, timeout_s=5, ca_file=None)
    yield opened
    await opened.aclose()
