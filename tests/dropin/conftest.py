"""A gateway as the programs of these tests see it: an address and a key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import OpenBed
from tests.dropin.callers import Caller
from tests.support.bed import Bed
from tests.support.dictated_vendor import DictatedVendor


@pytest.fixture
async def caller(bed: Bed) -> Caller:
    """A program whose user wrote the gateway's address and a key of it into its settings."""
    return Caller(bed.http, await bed.key())


@pytest.fixture
async def dictated() -> AsyncIterator[DictatedVendor]:
    """A vendor that says what a test dictates."""
    async with DictatedVendor() as vendor:
        yield vendor


@pytest.fixture
async def dictated_bed(dictated: DictatedVendor, open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """A gateway in front of it."""
    async with open_gateway_bed(vendor={"base_url": dictated.url}) as bed:
        yield bed
