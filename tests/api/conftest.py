"""As elsewhere, but every answer a test here gets is held against the gateway's own document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.api.answers import Document
from tests.support.bed import Bed

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
