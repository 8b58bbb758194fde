"""find_replay.lua: the answer an Idempotency-Key got before, whatever became of its limits."""

from __future__ import annotations

import pytest

from app.domain.task import TaskState
from app.domain.tenant import Caller
from app.errors import IdempotencyConflict, InvalidKey, StoreForeign, TenantDisabled
from app.store.identity import StoreIdentity
from app.store.task_steps import Replayed
from app.store.tasks import TaskStore
from tests.store.shelf import RETENTION_MS, Shelf
from tests.support.contents import everything

KEY = "1" * 64
PRINT = "f" * 64


async def find(shelf: Shelf, caller: Caller, key: str = KEY, body: str = PRINT) -> Replayed | None:
    """Look for the answer of a create."""
    return await shelf.tasks.find_replay(caller, key, body, now_ms=shelf.clock.now_ms())


async def test_the_first_answer_is_found_and_nothing_changes(shelf: Shelf) -> None:
    """Byte for byte, with the limits used up, and after the task has ended."""
    caller = await shelf.caller(creates_per_minute=1, tasks_in_flight=1)
    task = await shelf.admit(caller, idempotency=KEY)
    answer = await shelf.accept(task)
    await shelf.move(await shelf.reload(task), TaskState.FAILED)
    untouched = await everything(shelf.redis)

    found = await find(shelf, caller)

    assert found == Replayed(task.id, answer, None)
    assert await everything(shelf.redis) == untouched


async def test_where_nothing_was_answered_nothing_is_found(shelf: Shelf) -> None:
    """An unused key, one whose first call is still under way, and another tenant's or mode's."""
    caller = await shelf.caller()
    await shelf.admit(caller, idempotency=KEY)
    strangers = [await shelf.caller("hooli"), await shelf.caller("acme", mode="test")]

    assert await find(shelf, caller) is None
    assert await find(shelf, caller, "2" * 64) is None
    assert [await find(shelf, each) for each in strangers] == [None, None]


async def test_another_body_is_a_conflict(shelf: Shelf) -> None:
    """Once it was answered."""
    caller = await shelf.caller()
    await shelf.accept(await shelf.admit(caller, idempotency=KEY))

    with pytest.raises(IdempotencyConflict):
        await find(shelf, caller, body="0" * 64)


async def test_who_may_not_create_finds_nothing(shelf: Shelf) -> None:
    """A disabled tenant, a revoked key, and a process of another store."""
    caller = await shelf.caller()
    await shelf.accept(await shelf.admit(caller, idempotency=KEY))
    stranger = TaskStore(
        shelf.redis, StoreIdentity(shelf.redis, "0" * 32), retention_ms=RETENTION_MS
    )

    with pytest.raises(StoreForeign):
        await stranger.find_replay(caller, KEY, PRINT, now_ms=shelf.clock.now_ms())
    await shelf.switch("acme", disabled=True)
    with pytest.raises(TenantDisabled):
        await find(shelf, caller)
    await shelf.revoke("acme", caller.key_id)
    with pytest.raises(InvalidKey):
        await find(shelf, caller)
