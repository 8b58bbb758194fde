"""A store that was set back to an older copy of itself is shut by whoever notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.clock import HeldClock
from app.domain.task import TaskState
from app.errors import StoreForeign
from app.store.epoch import FILE_NAME, EpochUnknown, read_epoch, settle_epoch
from app.store.identity import epoch_after_set_back
from app.store.keys import ALL_SHARDS, META, Shard
from tests.store.shelf import Shelf, open_shelf
from tests.support.contents import everything


@pytest.fixture
async def other_shelf(
    shelf: Shelf, redis_url: str, tmp_path: Path, clock: HeldClock
) -> AsyncIterator[Shelf]:
    """A second process on the same store."""
    async with open_shelf(redis_url, tmp_path, clock) as opened:
        yield opened


Copy = dict[bytes, tuple[int, bytes]]
"""Every key with the instant it expires at, 0 for never, and its value as it can be put back."""


async def copy_of(shelf: Shelf) -> Copy:
    """Return what the store holds."""
    redis = shelf.redis
    return {
        name: (max(0, await redis.pexpiretime(name)), await redis.dump(name))
        async for name in redis.scan_iter()
    }


async def set_back(shelf: Shelf, copy: Copy) -> None:
    """Make the store what it was."""
    await shelf.redis.flushall()
    for name, (expires_ms, value) in copy.items():
        await shelf.redis.restore(name, expires_ms, value, absttl=True)


async def test_who_admitted_since_the_copy_admits_no_more(shelf: Shelf) -> None:
    """The store counts less than this process has seen of it: nothing is written but the epoch."""
    caller = await shelf.caller()
    copy = await copy_of(shelf)
    await shelf.admit(caller)
    await set_back(shelf, copy)
    before = await everything(shelf.redis)

    with pytest.raises(StoreForeign):
        await shelf.admit(caller)

    after = await everything(shelf.redis)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {META, *(shard.epoch for shard in ALL_SHARDS)}


async def test_what_was_queued_at_the_copy_is_not_sent_again(shelf: Shelf) -> None:
    """A task dispatched since the copy waits again in it, and stays there."""
    caller = await shelf.caller(tasks_in_flight=1, when_full="queue")
    first, queued = await shelf.admit(caller), await shelf.queued(caller)
    copy = await copy_of(shelf)
    await shelf.move(first, TaskState.REJECTED)
    assert await shelf.dispatch(queued) == "dispatched"
    await set_back(shelf, copy)
    await shelf.move(first, TaskState.REJECTED)

    with pytest.raises(StoreForeign):
        await shelf.dispatch(queued)

    assert (await shelf.reload(queued)).state is TaskState.QUEUED


async def test_an_engine_that_sent_nothing_itself_notices_too(
    shelf: Shelf, other_shelf: Shelf
) -> None:
    """A look at the schedules tells every process how far the store has come."""
    caller = await shelf.caller()
    copy = await copy_of(shelf)
    await shelf.admit(caller)
    await other_shelf.schedules.peek()
    await set_back(shelf, copy)

    with pytest.raises(StoreForeign):
        await other_shelf.schedules.peek()

    assert await read_epoch(shelf.redis) == epoch_after_set_back(shelf.identity.epoch_id)


async def test_others_who_go_on_do_not_hide_it(shelf: Shelf, other_shelf: Shelf) -> None:
    """A process that saw nothing adds marks until there are more than before: they are others."""
    caller = await shelf.caller()
    copy = await copy_of(shelf)
    await shelf.admit(caller)
    await set_back(shelf, copy)
    for _ in range(3):
        await other_shelf.admit(caller)

    with pytest.raises(StoreForeign):
        await shelf.schedules.peek()
    with pytest.raises(StoreForeign):
        await other_shelf.admit(caller)


async def test_once_noticed_nobody_works_on_it(
    shelf: Shelf, other_shelf: Shelf, tmp_path: Path
) -> None:
    """Who has seen nothing itself is refused as well, and so is the next start."""
    caller = await shelf.caller()
    copy = await copy_of(shelf)
    await shelf.admit(caller)
    await set_back(shelf, copy)
    with pytest.raises(StoreForeign):
        await shelf.admit(caller)

    with pytest.raises(StoreForeign):
        await other_shelf.admit(caller)
    with pytest.raises(EpochUnknown):
        await settle_epoch(shelf.redis, tmp_path, shelf.identity.epoch_id)


async def test_an_operator_goes_on_with_it_by_naming_its_new_epoch(
    shelf: Shelf, redis_url: str, tmp_path: Path, clock: HeldClock
) -> None:
    """A process that is told the epoch works, and notices the next time as well."""
    caller = await shelf.caller()
    copy = await copy_of(shelf)
    await shelf.admit(caller)
    await set_back(shelf, copy)
    with pytest.raises(StoreForeign):
        await shelf.admit(caller)
    shut = epoch_after_set_back(shelf.identity.epoch_id)

    (tmp_path / "told").mkdir()
    (tmp_path / "told" / FILE_NAME).write_text(shut, "ascii")
    async with open_shelf(redis_url, tmp_path / "told", clock) as told:
        copy = await copy_of(told)
        await told.admit(caller)
        await set_back(told, copy)
        with pytest.raises(StoreForeign):
            await told.admit(caller)

    assert await read_epoch(shelf.redis) == epoch_after_set_back(shut)


async def test_the_right_store_put_back_is_worked_on_at_once(shelf: Shelf) -> None:
    """What was shut was the copy; the store itself was never changed."""
    caller = await shelf.caller()
    copy = await copy_of(shelf)
    await shelf.admit(caller)
    right = await copy_of(shelf)
    await set_back(shelf, copy)
    with pytest.raises(StoreForeign):
        await shelf.admit(caller)

    await set_back(shelf, right)

    assert (await shelf.admit(caller)).state is TaskState.SENDING


async def test_an_emptied_store_stays_empty(shelf: Shelf) -> None:
    """An empty store counts nothing either, but it is nobody's copy: nothing is written to it."""
    caller = await shelf.caller()
    await shelf.admit(caller)
    await shelf.redis.flushall()

    with pytest.raises(StoreForeign):
        await shelf.admit(caller)
    with pytest.raises(StoreForeign):
        await shelf.schedules.peek()

    assert await shelf.redis.dbsize() == 0


async def test_admissions_at_once_with_looks_are_no_set_back(shelf: Shelf) -> None:
    """What a look finds is compared with what was known when it began: it may be overtaken."""
    caller = await shelf.caller()

    async with asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(shelf.admit(caller))
            group.create_task(shelf.schedules.peek())

    assert shelf.identity.seen(Shard.of(caller.tenant_id))[0] == 200
    assert await read_epoch(shelf.redis) == shelf.identity.epoch_id
