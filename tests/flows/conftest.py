"""After every story the books are audited: vendor's journal, ledgers, counters and schedules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.auditor import audit, read_books
from tests.support.vendor import Vendor


@pytest.fixture
def store_url(redis_url: str) -> str:
    """The store whose books are audited; a file with a server of its own names that one."""
    return redis_url


@pytest.fixture(autouse=True)
def audited(store_url: str, vendor: Vendor) -> Iterator[None]:
    """Whatever went wrong in the story: nothing sent twice, nothing forgotten, no drift."""
    yield
    assert audit(read_books(store_url), vendor.journal()) == []
