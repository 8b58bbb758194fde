"""Reads of many tokens of one key: each process counts what it lends to each of them."""

from __future__ import annotations

from app.domain.tenant import Caller
from app.store.meter import SHARE_LIFE_MS
from tests.store.shelf import Shelf
from tests.store.test_mint_token import mint

A_SECOND = 100
TOKENS = 10
STEP_MS = 50


async def reads(shelf: Shelf, caller: Caller, most: int) -> int:
    """Read until that is refused; returns how many reads passed."""
    for passed in range(most):
        permit = await shelf.meter.take_read(caller, now_ms=shelf.clock.now_ms())
        if permit.wait_ms is not None:
            return passed
    return most


async def test_what_is_lent_to_one_token_is_not_forgotten_for_another(shelf: Shelf) -> None:
    """Shares that lie unused come back to nobody while they may still be used.

    From any moment on no more pass than a whole bucket and what it regains.
    """
    parent = await shelf.caller(reads_per_second=A_SECOND)
    tokens = [await mint(shelf, parent) for _ in range(TOKENS)]
    for token in tokens:
        # One, then two, then one of the next four: three stay lent.
        assert await reads(shelf, token, 4) == 4
    shelf.clock.advance_ms(SHARE_LIFE_MS - 10)

    passed = 0
    for step in range(1_000 // STEP_MS):
        passed += sum([await reads(shelf, token, A_SECOND) for token in tokens])
        assert passed <= A_SECOND + step * STEP_MS * A_SECOND // 1_000
        shelf.clock.advance_ms(STEP_MS)
