"""Queued tasks whose key has ended, and tasks that lose their place."""

from __future__ import annotations

import pytest

from app.domain.ids import next_key_id
from app.domain.task import TaskState
from tests.store.shelf import Shelf
from tests.store.test_queue import ends, full
from tests.support.tenant_keys import act, end_key


async def test_what_a_revoked_key_had_waiting_is_never_sent(shelf: Shelf) -> None:
    """From that instant the key creates nothing, also not what it had been promised."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    await shelf.revoke("acme", caller.key_id)
    await ends(shelf, running)

    assert await shelf.attempt(caller) == "invalid_key"
    assert await shelf.dispatch(task) == "key_ended"
    assert (await shelf.reload(task)).state is TaskState.QUEUED


@pytest.mark.parametrize("grace_ms", [0, 60_000])
async def test_what_a_rotated_key_had_waiting_goes_out(shelf: Shelf, grace_ms: int) -> None:
    """Another key has taken its place, at once or after a while; its tasks are that one's."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    old = await shelf.keys.get("acme", caller.key_id)
    new = old.model_copy(update={"id": next_key_id(old.id)})
    at_ms = shelf.clock.now_ms()
    acts = tuple(act("acme", at_ms=at_ms, name=name) for name in ("key.rotated", "key.revoked"))
    ends_ms = at_ms + grace_ms if grace_ms else None
    await shelf.keys.rotate(old.id, new, secret="rg_live_x", ends_ms=ends_ms, acts=acts)
    shelf.clock.advance_ms(2 * grace_ms)
    await ends(shelf, running)

    assert await shelf.dispatch(task) == "dispatched"


async def test_what_an_expired_key_had_waiting_goes_out(shelf: Shelf) -> None:
    """It was accepted in its time, and nobody took the promise back."""
    caller, running = await full(shelf)
    task = await shelf.queued(caller)
    at_ms = shelf.clock.now_ms()
    await end_key(shelf.keys, "acme", caller.key_id, at_ms=at_ms, expires_ms=at_ms + 1_000)
    shelf.clock.advance_ms(2_000)
    await ends(shelf, running)

    assert await shelf.attempt(caller) == "invalid_key"
    assert await shelf.dispatch(task) == "dispatched"


async def test_a_task_that_yields_goes_to_the_end(shelf: Shelf) -> None:
    """Whoever waited behind it is next; and it waits behind all who are there now."""
    caller = await shelf.caller(tasks_in_flight=1, when_full="queue", when_vendor_down="queue")
    refused = await shelf.admit(caller)
    others = [await shelf.queued(caller) for _ in range(2)]
    await shelf.tasks.remember(caller, refused.id, "")

    position = await shelf.requeue(refused, yields=True)

    assert position == 3
    assert await shelf.line(caller) == [*(task.id for task in others), refused.id]
    assert (await shelf.reload(refused)).tries == 1
