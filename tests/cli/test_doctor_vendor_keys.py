"""Tasks that nobody can follow any more, since their vendor key was taken out."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.findings import KINDS, Level
from app.store.keys import Shard
from app.upstream.keyring import VendorKey
from tests.cli.claiming import claim
from tests.cli.test_doctor_store import found_in_store
from tests.support.redis_server import RedisServer
from tests.support.vendor import VENDOR_KEY

KNOWN, GONE = VendorKey.of(VENDOR_KEY).id, VendorKey.of("sk-taken-out-1234").id


def follow(server: RedisServer, number: int, key_id: str, *, mode: str, schedule: str) -> None:
    """Put an open task into the store, as far as the doctor looks at it."""
    shard, task_id = Shard.of("acme"), f"task-unified-1-{number}"
    server.call("HSET", shard.task(task_id), "mode", mode, "vendor_key", key_id)
    server.call("ZADD", getattr(shard, schedule), 1, task_id)


@pytest.mark.parametrize("schedule", ["polls", "doubts"])
async def test_tasks_of_a_key_that_is_gone_are_counted(
    server: RedisServer, tmp_path: Path, schedule: str
) -> None:
    """Of every such key, for tasks that are followed and for those in doubt."""
    await claim(server.url, tmp_path)
    for number in range(1200):
        follow(server, number, GONE, mode="live", schedule=schedule)
    follow(server, 1200, KNOWN, mode="live", schedule=schedule)

    found = await found_in_store(server.url, tmp_path)

    assert found["vendor-key-missing"] == (
        f"1200 open tasks were sent with {GONE}, which is not configured here"
    )
    assert KINDS["vendor-key-missing"].level is Level.WARNING


async def test_tasks_that_can_be_followed_are_not_spoken_of(
    server: RedisServer, tmp_path: Path
) -> None:
    """Those of a configured key; those of test keys, which the gateway makes itself."""
    await claim(server.url, tmp_path)
    follow(server, 1, KNOWN, mode="live", schedule="polls")
    follow(server, 2, "vk_of_the_sandbox", mode="test", schedule="polls")

    assert "vendor-key-missing" not in await found_in_store(server.url, tmp_path)
