"""An emptied store is never a fresh quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import Redis as BlockingRedis

from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed
from tests.support.fleet import Fleet
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

pytestmark = pytest.mark.chaos

TRIALS = 20
AT_ONCE = 6


@pytest.fixture
def own_server() -> Any:
    """A Redis that keeps nothing on disk, so that a restart is an empty one."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(own_server: RedisServer) -> str:
    """Let the gateways of these tests use it."""
    return own_server.url


@pytest.fixture
async def bed(open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """A gateway whose store is often emptied."""
    async with open_gateway_bed() as opened:
        yield opened


def everything(url: str) -> dict[bytes, bytes]:
    """Return all keys, each in the form in which it can be put back."""
    with BlockingRedis.from_url(url) as redis:
        return {name: redis.dump(name) for name in redis.scan_iter(count=1000)}


def put_back(url: str, kept: dict[bytes, bytes]) -> None:
    """Do what an operator does with a backup."""
    with BlockingRedis.from_url(url) as redis:
        for name, value in kept.items():
            redis.restore(name, 0, value, replace=True)


@pytest.mark.parametrize("way", ["flushed", "restarted"])
async def test_an_emptied_store_is_closed_at_once_until_it_is_put_back(
    bed: Bed, own_server: RedisServer, way: str
) -> None:
    """Twenty times under load: creates and reads are 503, nothing is sent, nothing is written."""
    key = await bed.key(credits_per_month="1000")
    task_id = await bed.created(key)
    for _ in range(TRIALS):
        kept, sent = everything(own_server.url), len(bed.vendor.creates())
        await asyncio.to_thread(own_server.flush if way == "flushed" else own_server.restart)

        asked = [bed.create(key) for _ in range(AT_ONCE)]
        asked += [bed.read(key, task_id) for _ in range(AT_ONCE)]
        answers = await asyncio.gather(*asked)
        bed.clock.advance_ms(1_500)
        written = everything(own_server.url)
        sent_meanwhile = len(bed.vendor.creates()) - sent
        put_back(own_server.url, kept)

        assert {error_of(answer)["reason"] for answer in answers} == {"store_foreign"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert (sent_meanwhile, written) == (0, {})
        assert (await bed.read(key, task_id)).status_code == 200
        assert (await bed.create(key)).status_code == 200


async def test_emptied_amid_creates_nothing_more_is_sent(fleet: Fleet) -> None:
    """Two gateways under way: what had been admitted may arrive, then the vendor hears no more."""
    fleet.unaudited = "everything was lost with the store, and is not put back"
    gateways = await fleet.start("a", "b")
    customer = await fleet.customer()
    done = asyncio.Event()

    async def keep_creating(gateway: GatewayProcess) -> None:
        while not done.is_set():
            await customer.create(gateway, scenario="seconds:600")

    async with asyncio.TaskGroup() as group:
        for gateway in (*gateways, *gateways):
            group.create_task(keep_creating(gateway))
        await wait_until(lambda: len(fleet.vendor.creates()) > 20, describing="creates to be sent")
        fleet.redis.flush()
        told_before = len(customer.answers)
        await wait_until(
            lambda: len(customer.answers) > told_before + 50, describing="50 more answers"
        )
        sent = len(fleet.vendor.creates())
        await wait_until(
            lambda: len(customer.answers) > told_before + 150, describing="100 more answers"
        )
        done.set()

    assert len(fleet.vendor.creates()) == sent
    # Those that were under way when it happened; they are told the same, and never a 200.
    assert {answer.reason for answer in customer.answers[told_before:]} <= {"store_foreign", ""}
    assert {answer.status for answer in customer.answers[told_before + 50 :]} == {503}
