"""The store's identity: an emptied or exchanged store must never look like a fresh quota.

A random epoch is written into the store when it is first used, and kept outside it as well (a file
in the data directory, or `REELGATE_STORE_EPOCH`). Admissions, reads and changes of tenants compare
it; a step of a task finds its record gone.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from app.errors import StoreForeign
from app.store.keys import ALL_SHARDS, META, SCHEMA_VERSION, SHARD_COUNT
from app.store.scripts import store_errors

FILE_NAME = "epoch"


class EpochUnknown(StoreForeign):
    """The store's identity is not the one kept outside it; the message says what to compare."""


async def read_epoch(redis: Redis) -> str | None:
    """Return the epoch the store carries, or None where it carries none.

    Raises:
        EpochUnknown: the store was laid out by another schema or shard count.
    """
    with store_errors():
        meta: dict[bytes, bytes] = await cast(Awaitable[Any], redis.hgetall(META))
    if b"schema" not in meta:
        return None  # empty, or a start that was cut off before it was done
    found = (int(meta[b"schema"]), int(meta[b"shards"]))
    if found != (SCHEMA_VERSION, SHARD_COUNT):
        raise EpochUnknown(
            f"the store has schema and shard count {found}, not {SCHEMA_VERSION, SHARD_COUNT}"
        )
    return meta[b"epoch"].decode("ascii")


def known_epoch(data_dir: Path, configured: str) -> str | None:
    """Return the epoch kept outside the store: the setting, else the file, else None."""
    if configured:
        return configured
    with suppress(FileNotFoundError):
        return (data_dir / FILE_NAME).read_text("ascii").strip() or None
    return None


async def settle_epoch(redis: Redis, data_dir: Path, configured: str) -> str:
    """Return the epoch to work under; a store is initialised only where none is known outside it.

    Afterwards the store and, unless one is configured, the file hold the same epoch. Processes
    that start at the same time agree on one.

    Raises:
        EpochUnknown: the store is empty, or another one, although an epoch is known.
        StoreUnavailable: Redis does not answer.
    """
    known, found = known_epoch(data_dir, configured), await read_epoch(redis)
    if found is None:
        if known is not None:
            place = "REELGATE_STORE_EPOCH" if configured else str(data_dir / FILE_NAME)
            raise EpochUnknown(
                f"the store is empty, but {place} names epoch {known}: restore the store,"
                " or remove that to begin anew"
            )
        found = await _initialise(redis, secrets.token_hex(16))
    if known is not None and known != found:
        raise EpochUnknown(
            f"the store carries epoch {found}, expected {known}: another store is connected"
        )
    if known is None:
        _keep(data_dir, found)
    return found


async def _initialise(redis: Redis, epoch: str) -> str:
    """Write the epoch unless another process was first; what counts is written last."""
    with store_errors():
        await cast(Awaitable[Any], redis.hsetnx(META, "epoch", epoch))
        won: bytes = await cast(Awaitable[Any], redis.hget(META, "epoch"))
        for shard in ALL_SHARDS:
            await redis.set(shard.epoch, won, nx=True)
        await cast(
            Awaitable[Any],
            redis.hset(META, mapping={"schema": SCHEMA_VERSION, "shards": SHARD_COUNT}),
        )
    return won.decode("ascii")


def _keep(data_dir: Path, epoch: str) -> None:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = data_dir / f".{FILE_NAME}.{os.getpid()}"
    draft.write_text(epoch + "\n", "ascii")
    draft.replace(data_dir / FILE_NAME)
