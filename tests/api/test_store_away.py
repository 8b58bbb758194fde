"""What callers are told while Redis is away, and when it comes back without its memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.api.asking import UNKNOWN_ID
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis that only this test uses, for it may be stopped."""
    with RedisServer() as server:
        yield server
        server.thaw()


@pytest.fixture
def redis_url(own_server: RedisServer) -> str:
    """Let the gateways of these tests use it."""
    return own_server.url


async def test_no_request_hangs_while_the_store_is_silent(
    open_gateway_bed: OpenBed, own_server: RedisServer
) -> None:
    """Creates and reads are told to come back, after one deadline of a Redis call."""
    async with open_gateway_bed(redis_timeout_s=0.2) as bed:
        key = await bed.key()
        task_id = await bed.created(key)
        own_server.freeze()
        began_s = time.monotonic()
        answers = [await bed.create(key), await bed.read(key, task_id)]
        took_s = time.monotonic() - began_s
        own_server.thaw()
        after = await bed.read(key, task_id)

    assert [error_of(answer)["reason"] for answer in answers] == ["store_unavailable"] * 2
    assert took_s < 2
    assert after.status_code == 200


@pytest.mark.unaudited("the store is killed")
async def test_a_store_that_is_gone_is_noticed_at_once(
    open_gateway_bed: OpenBed, own_server: RedisServer
) -> None:
    """A refused connection is the same answer as a silent one."""
    async with open_gateway_bed() as bed:
        key = await bed.key()
        own_server.kill()
        answers = [await bed.create(key), await bed.read(key, UNKNOWN_ID)]

    assert [error_of(answer)["reason"] for answer in answers] == ["store_unavailable"] * 2
    assert bed.vendor.journal() == []


@pytest.mark.unaudited("the store is emptied")
async def test_an_emptied_store_is_not_taken_for_an_unknown_key(
    bed: Bed, own_server: RedisServer
) -> None:
    """401 and 404 are final to a client that polls; an operator's accident must not be."""
    seen, unseen = await bed.key("acme"), await bed.another_key("acme")
    task_id = await bed.created(seen)
    own_server.flush()

    answers = [await bed.create(seen), await bed.read(seen, task_id), await bed.create(unseen)]

    assert [error_of(answer)["reason"] for answer in answers] == ["store_foreign"] * 3
    assert len(bed.vendor.creates()) == 1


@pytest.mark.unaudited("the store is emptied")
async def test_a_store_that_is_emptied_during_a_send_acknowledges_nothing(
    bed: Bed, own_server: RedisServer
) -> None:
    """The vendor's yes has no task to stand with: 503, never a 200 for an id nobody knows."""
    key = await bed.key()
    bed.vendor.fault("delay", ms=500)

    async with asyncio.TaskGroup() as group:
        create = group.create_task(bed.create(key))
        await wait_until(bed.vendor.creates, describing="the create at the vendor")
        own_server.flush()

    assert error_of(create.result())["reason"] == "store_foreign"
