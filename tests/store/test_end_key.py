"""end_key.lua: a key ends now, or at an instant if that is sooner; it never comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.tenant import Caller
from app.errors import KeyNotFound, StoreForeign
from app.store.api_keys import KeyStore
from tests.store.shelf import Shelf
from tests.support.contents import everything
from tests.support.tenant_keys import act


async def end(shelf: Shelf, caller: Caller, at_ms: int | None, keys: KeyStore | None = None) -> Any:
    """End a caller's key."""
    ended = act(caller.tenant_id, at_ms=shelf.clock.now_ms(), name="key.revoked")
    await (keys or shelf.keys).end(caller.tenant_id, caller.key_id, at_ms=at_ms, act=ended)


async def test_a_key_that_is_ended_creates_nothing_from_then_on(shelf: Shelf) -> None:
    """It says revoked, and keeps its name, mode and limits for whoever looks."""
    caller = await shelf.colleague(await shelf.caller(), tasks_in_flight=3)
    before = await shelf.keys.get("acme", caller.key_id)

    await end(shelf, caller, None)

    assert await shelf.attempt(caller) == "invalid_key"
    after = await shelf.keys.get("acme", caller.key_id)
    assert after == before.model_copy(update={"state": "revoked"})


async def test_a_key_ends_at_the_millisecond_it_was_told_to(shelf: Shelf) -> None:
    """Until then it creates as before."""
    caller = await shelf.caller()

    await end(shelf, caller, shelf.clock.now_ms() + 1000)

    shelf.clock.advance_ms(999)
    assert await shelf.attempt(caller) == "admitted"
    shelf.clock.advance_ms(1)
    assert await shelf.attempt(caller) == "invalid_key"


@pytest.mark.parametrize(("own_ms", "told_ms", "expected_ms"), [(9, 7, 7), (7, 9, 7), (7, 7, 7)])
async def test_a_key_never_lives_longer_for_being_ended(
    shelf: Shelf, own_ms: int, told_ms: int, expected_ms: int
) -> None:
    """Of two ends the sooner holds, whichever was named first."""
    now_ms = shelf.clock.now_ms()
    caller = await shelf.caller()
    await end(shelf, caller, now_ms + own_ms)

    await end(shelf, caller, now_ms + told_ms)

    assert (await shelf.keys.get("acme", caller.key_id)).expires_ms == now_ms + expected_ms


async def test_a_revoked_key_stays_revoked(shelf: Shelf) -> None:
    """An end in the future given afterwards opens nothing."""
    caller = await shelf.caller()
    await end(shelf, caller, None)

    await end(shelf, caller, shelf.clock.now_ms() + 1000)
    await end(shelf, caller, None)

    assert await shelf.attempt(caller) == "invalid_key"


async def test_ends_at_once_leave_the_soonest(shelves: list[Shelf]) -> None:
    """Twenty operators name twenty ends: none is passed over by a later write."""
    now_ms, caller = shelves[0].clock.now_ms(), await shelves[0].caller()

    await asyncio.gather(*(end(shelves[n % 3], caller, now_ms + 5 + n) for n in range(20)))

    assert (await shelves[0].keys.get("acme", caller.key_id)).expires_ms == now_ms + 5


async def test_a_key_that_there_is_not_is_not_made(shelf: Shelf) -> None:
    """Unknown key or unknown tenant: nothing is written, not even to the log."""
    caller = await shelf.caller()
    untouched = await everything(shelf.redis)

    for tenant_id, key_id in (("acme", "key_000000000000"), ("globex", caller.key_id)):
        with pytest.raises(KeyNotFound):
            await shelf.revoke(tenant_id, key_id)
        with pytest.raises(KeyNotFound):
            await shelf.keys.get(tenant_id, key_id)

    assert await everything(shelf.redis) == untouched


async def test_a_key_of_another_tenant_is_not_revoked(shelf: Shelf) -> None:
    """A key is named by its tenant and its id together, in one shard as in two."""
    caller = await shelf.caller("acme")
    await shelf.caller("globex")
    await shelf.caller("hooli")

    for other in ("globex", "hooli"):
        with pytest.raises(KeyNotFound):
            await shelf.revoke(other, caller.key_id)

    assert await shelf.attempt(caller) == "admitted"


async def test_a_store_of_another_epoch_ends_no_key(shelf: Shelf) -> None:
    """Neither now nor later."""
    caller = await shelf.caller()
    stranger = KeyStore(shelf.redis, "0" * 32)
    untouched = await everything(shelf.redis)

    for at_ms in (None, shelf.clock.now_ms() + 1):
        with pytest.raises(StoreForeign):
            await end(shelf, caller, at_ms, stranger)

    assert await everything(shelf.redis) == untouched
