"""A store per test, and the proof that its books are right afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.clock import HeldClock
from tests.store.shelf import Shelf, open_shelf
from tests.support.auditor import audit, read_books
from tests.support.key_lives import keys_that_never_end


@pytest.fixture
async def bare_shelf(redis_url: str, tmp_path: Path, clock: HeldClock) -> AsyncIterator[Shelf]:
    """An empty store, for tests that put into it what no task stands for."""
    async with open_shelf(redis_url, tmp_path, clock) as opened:
        yield opened


@pytest.fixture
async def shelf(bare_shelf: Shelf, redis_url: str) -> AsyncIterator[Shelf]:
    """An empty store; after the test every figure in it must follow from the ledgers."""
    yield bare_shelf
    assert audit(read_books(redis_url), []) == []
    assert await keys_that_never_end(bare_shelf.redis) == []


@pytest.fixture
async def shelves(
    bare_shelf: Shelf, redis_url: str, tmp_path: Path, clock: HeldClock
) -> AsyncIterator[list[Shelf]]:
    """Three clients of one store, as three processes have them; the first is `shelf`'s."""
    async with AsyncExitStack() as stack:
        more = [
            await stack.enter_async_context(open_shelf(redis_url, tmp_path, clock))
            for _ in range(2)
        ]
        yield [bare_shelf, *more]
