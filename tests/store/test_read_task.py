"""read_task.lua: the stored answer, to an active key of the task's own tenant and mode."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.task import TaskState
from app.domain.tenant import Caller
from app.errors import InvalidKey, StoreForeign, TaskNotFound, TenantDisabled
from app.store.keys import Shard
from app.store.task_reads import TaskReads
from tests.store.shelf import PRICE, Shelf, vendor_id_of
from tests.support.contents import everything


async def read(shelf: Shelf, caller: Caller, task_id: str) -> tuple[bytes, bool]:
    """Read a task as a caller: what it shows, and whether it is over."""
    found = await shelf.reads.one(task_id, caller=caller, now_ms=shelf.clock.now_ms())
    return found.body, found.finished


async def test_a_task_reads_as_the_bytes_last_stored(shelf: Shelf) -> None:
    """From its admission to its end, and whether it has come to one."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)

    seen = [await read(shelf, caller, task.id)]
    await shelf.accept(task, body=b'{"status":"pending","n":1.50}')
    seen.append(await read(shelf, caller, task.id))
    await shelf.move(await shelf.reload(task), TaskState.COMPLETED, charged=PRICE)
    seen.append(await read(shelf, caller, task.id))

    assert seen == [
        (task.body, False),
        (b'{"status":"pending","n":1.50}', False),
        (b'{"status":"completed"}', True),
    ]


async def test_reading_changes_nothing(shelf: Shelf) -> None:
    """Fifty readers leave no trace, not even a later expiry."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller)
    await shelf.move(task, TaskState.FAILED)
    untouched = await everything(shelf.redis)

    seen = await asyncio.gather(*(read(shelf, caller, task.id) for _ in range(50)))

    assert len(set(seen)) == 1
    assert await everything(shelf.redis) == untouched


async def test_every_key_of_a_tenant_reads_its_tasks(shelf: Shelf) -> None:
    """A task is the tenant's, not the key's that made it."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    await shelf.revoke(caller.tenant_id, caller.key_id)

    body, _ = await read(shelf, await shelf.colleague(caller), task.id)

    assert body == task.body


async def test_a_strangers_task_is_an_unknown_one(shelf: Shelf) -> None:
    """Another tenant, in its shard or not, the other mode and a made-up id get the same no."""
    task = await shelf.admit(await shelf.caller("acme"))
    neighbour = next(
        name for name in (f"n{n}" for n in range(1000)) if Shard.of(name) == Shard.of("acme")
    )
    strangers = [
        await shelf.caller("globex"),
        await shelf.caller(neighbour),
        await shelf.caller("acme", mode="test"),
    ]

    for stranger in strangers:
        with pytest.raises(TaskNotFound):
            await read(shelf, stranger, task.id)
    with pytest.raises(TaskNotFound):
        await read(shelf, await shelf.caller("acme"), "task-unified-1767917446-" + "0" * 25)


async def test_a_task_refused_within_its_create_is_unknown(shelf: Shelf) -> None:
    """Nobody was ever given its id."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    await shelf.move(task, TaskState.REJECTED)

    with pytest.raises(TaskNotFound):
        await read(shelf, caller, task.id)


async def test_a_store_of_another_epoch_shows_nothing(shelf: Shelf) -> None:
    """Exchanged or emptied, it makes no task unknown and no key invalid: it is the wrong store."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    stranger = TaskReads(shelf.redis, "0" * 32)

    with pytest.raises(StoreForeign):
        await stranger.one(task.id, caller=caller, now_ms=shelf.clock.now_ms())
    await shelf.redis.flushall()
    with pytest.raises(StoreForeign):
        await read(shelf, caller, task.id)


async def test_a_revoked_key_reads_nothing(shelf: Shelf) -> None:
    """From that instant, whatever it made."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    await shelf.revoke(caller.tenant_id, caller.key_id)

    with pytest.raises(InvalidKey):
        await read(shelf, caller, task.id)


async def test_an_expired_key_reads_nothing(shelf: Shelf) -> None:
    """Its last millisecond is the one before its expiry."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    record = Shard.of("acme").key("acme", caller.key_id)
    await shelf.redis.hset(record, "expires_ms", shelf.clock.now_ms() + 1)

    await read(shelf, caller, task.id)
    shelf.clock.advance_ms(1)

    with pytest.raises(InvalidKey):
        await read(shelf, caller, task.id)


async def test_a_disabled_tenant_reads_nothing(shelf: Shelf) -> None:
    """Its tasks are there again when it is enabled."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)
    await shelf.switch("acme", disabled=True)

    with pytest.raises(TenantDisabled):
        await read(shelf, caller, task.id)

    await shelf.switch("acme", disabled=False)
    assert await read(shelf, caller, task.id) == (task.body, False)


async def test_only_a_task_that_the_vendor_has_knows_its_id(shelf: Shelf) -> None:
    """It is there for later tasks that build on this one, from the vendor's yes on."""
    caller = await shelf.caller()
    task = await shelf.admit(caller)

    before = await shelf.reads.one(task.id, caller=caller, now_ms=shelf.clock.now_ms())
    await shelf.accept(task)
    after = await shelf.reads.one(task.id, caller=caller, now_ms=shelf.clock.now_ms())

    assert (before.vendor_id, after.vendor_id) == ("", vendor_id_of(task))
