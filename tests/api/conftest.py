"""The one who operates the gateways of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.operating import WITH_ADMIN, Operator
from tests.api.receiving import Place
from tests.api.subscribing import REACHABLE, subscriber
from tests.conftest import OpenBed
from tests.support.key_lives import keys_that_never_end
from tests.support.receiver import open_receiver


@pytest.fixture
async def operator(open_gateway_bed: OpenBed) -> AsyncIterator[Operator]:
    """Whoever holds the admin token of a gateway; no key may be left to live for ever."""
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        yield Operator(bed)
        left = await keys_that_never_end(bed.gateway.store.redis)
    assert left == [], "these keys have no expiry and are not named permanent in app/store/keys.py"


@pytest.fixture
async def place(open_gateway_bed: OpenBed) -> AsyncIterator[Place]:
    """A gateway that may call receivers of these tests."""
    async with open_receiver() as receiver, open_gateway_bed(**REACHABLE) as bed:
        yield Place(await subscriber(bed), receiver)
        await receiver.end()
