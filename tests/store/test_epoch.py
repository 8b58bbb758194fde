"""The store's identity: settled once, agreed on by all, and never given to an emptied store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.errors import StoreUnavailable
from app.store.connect import connect
from app.store.epoch import FILE_NAME, EpochUnknown, known_epoch, read_epoch, settle_epoch
from app.store.keys import ALL_SHARDS, META
from tests.support.contents import everything


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty store."""
    client = connect(redis_url)
    yield client
    await client.aclose()


async def test_an_empty_store_is_given_an_epoch_that_is_kept_outside(
    redis: Redis, tmp_path: Path
) -> None:
    """Record, every shard and the file hold the same one, which nobody could guess."""
    epoch = await settle_epoch(redis, tmp_path / "new" / "folder", "")

    assert len(epoch) == 32
    assert await read_epoch(redis) == epoch
    assert {await redis.get(shard.epoch) for shard in ALL_SHARDS} == {epoch.encode()}
    assert known_epoch(tmp_path / "new" / "folder", "") == epoch


async def test_no_two_stores_get_the_same_epoch(redis: Redis, tmp_path: Path) -> None:
    """An emptied store that is set up again is another store."""
    first = await settle_epoch(redis, tmp_path / "a", "")
    await redis.flushall()

    assert await settle_epoch(redis, tmp_path / "b", "") != first


async def test_a_known_store_is_settled_without_a_change(redis: Redis, tmp_path: Path) -> None:
    """The next start finds what the first one left, and writes nothing."""
    first = await settle_epoch(redis, tmp_path, "")
    untouched = await everything(redis)

    second = await settle_epoch(redis, tmp_path, "")

    assert second == first
    assert await everything(redis) == untouched


async def test_a_machine_without_memory_adopts_the_stores_epoch(
    redis: Redis, tmp_path: Path
) -> None:
    """A second host joins the store as it is, and knows it from then on."""
    epoch = await settle_epoch(redis, tmp_path / "first", "")

    joined = await settle_epoch(redis, tmp_path / "second", "")

    assert joined == epoch
    assert (tmp_path / "second" / FILE_NAME).read_text("ascii").strip() == epoch


async def test_a_configured_epoch_needs_no_file(redis: Redis, tmp_path: Path) -> None:
    """Where the data directory is not kept, the setting is all there is; no file is written."""
    epoch = await settle_epoch(redis, tmp_path / "first", "")

    found = await settle_epoch(redis, tmp_path / "second", epoch)

    assert found == epoch
    assert not (tmp_path / "second").exists()


async def test_the_setting_wins_over_the_file(redis: Redis, tmp_path: Path) -> None:
    """An operator who names an epoch means it."""
    epoch = await settle_epoch(redis, tmp_path, "")
    (tmp_path / FILE_NAME).write_text("0" * 32)

    assert await settle_epoch(redis, tmp_path, epoch) == epoch


@pytest.mark.parametrize("is_configured", [False, True])
async def test_a_wiped_store_is_not_set_up_again(
    redis: Redis, tmp_path: Path, is_configured: bool
) -> None:
    """Whoever knows an epoch refuses an empty store, says where it is from, and writes nothing."""
    epoch = await settle_epoch(redis, tmp_path, "")
    await redis.flushall()

    place = "REELGATE_STORE_EPOCH" if is_configured else str(tmp_path / FILE_NAME)
    with pytest.raises(EpochUnknown, match=place):
        await settle_epoch(redis, tmp_path, epoch if is_configured else "")

    assert await everything(redis) == {}


async def test_another_store_is_refused(redis: Redis, tmp_path: Path) -> None:
    """A store with an epoch of its own is somebody else's; both are named."""
    epoch = await settle_epoch(redis, tmp_path / "theirs", "")
    (tmp_path / FILE_NAME).write_text("0" * 32)
    untouched = await everything(redis)

    with pytest.raises(EpochUnknown, match=f"{epoch}.*{'0' * 32}"):
        await settle_epoch(redis, tmp_path, "")

    assert await everything(redis) == untouched
    assert (tmp_path / FILE_NAME).read_text() == "0" * 32


@pytest.mark.parametrize(("field", "value"), [("schema", 2), ("shards", 32)])
async def test_a_store_laid_out_otherwise_is_refused(
    redis: Redis, tmp_path: Path, field: str, value: int
) -> None:
    """Another schema or shard count would look for everything in the wrong place."""
    await settle_epoch(redis, tmp_path, "")
    await redis.hset(META, field, value)

    with pytest.raises(EpochUnknown):
        await settle_epoch(redis, tmp_path, "")


@pytest.mark.parametrize("written_shards", [0, 5])
async def test_a_first_start_that_was_cut_off_is_finished_by_the_next(
    redis: Redis, tmp_path: Path, written_shards: int
) -> None:
    """It goes on with the epoch that was begun."""
    await redis.hset(META, "epoch", "a" * 32)
    for shard in ALL_SHARDS[:written_shards]:
        await redis.set(shard.epoch, "a" * 32)

    epoch = await settle_epoch(redis, tmp_path, "")

    assert epoch == "a" * 32
    assert {await redis.get(shard.epoch) for shard in ALL_SHARDS} == {b"a" * 32}
    assert await read_epoch(redis) == epoch


@pytest.mark.parametrize("is_shared", [False, True])
async def test_ten_processes_at_once_agree(redis_url: str, tmp_path: Path, is_shared: bool) -> None:
    """On one host or on ten, the first start of all ends with one epoch everywhere."""
    clients = [connect(redis_url) for _ in range(10)]
    folders = [tmp_path / ("shared" if is_shared else str(n)) for n in range(10)]

    epochs = await asyncio.gather(
        *(settle_epoch(client, folder, "") for client, folder in zip(clients, folders, strict=True))
    )

    assert len(set(epochs)) == 1
    assert {known_epoch(folder, "") for folder in folders} == set(epochs)
    assert {await clients[0].get(shard.epoch) for shard in ALL_SHARDS} == {epochs[0].encode()}
    for client in clients:
        await client.aclose()


async def test_a_store_that_is_away_settles_nothing(tmp_path: Path) -> None:
    """No epoch is made up, and no file is left that a later start would hold against the store."""
    client = connect("unix:///nonexistent/socket")

    with pytest.raises(StoreUnavailable):
        await settle_epoch(client, tmp_path, "")

    assert known_epoch(tmp_path, "") is None
