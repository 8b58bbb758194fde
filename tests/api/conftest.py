"""As elsewhere, but every answer a test here gets is held against the gateway's own document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.api.answers import Document
from tests.api.operating import WITH_ADMIN, Operator
from tests.support.bed import Bed
from tests.support.key_lives import keys_that_never_end

OpenBed = Callable[..., AbstractAsyncContextManager[Bed]]


@pytest.fixture
def open_gateway_bed(open_gateway_bed: OpenBed) -> OpenBed:
    """Open gateways with settings of their own; what they answer must be documented."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncIterator[Bed]:
        async with open_gateway_bed(**changes) as bed:
            bed.http.event_hooks = {"response": [Document(bed.app.openapi())]}
            yield bed

    return opened


@pytest.fixture
async def operator(open_gateway_bed: OpenBed) -> AsyncIterator[Operator]:
    """Whoever holds the admin token of a gateway; no key may be left to live for ever."""
    async with open_gateway_bed(**WITH_ADMIN) as bed:
        yield Operator(bed)
        left = await keys_that_never_end(bed.gateway.store.redis)
    assert left == [], "these keys have no expiry and are not named permanent in app/store/keys.py"
