"""With the subscription gone news still arrive: looked for, once a second, until it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.clock import HeldClock
from app.domain.audit import GATEWAY
from tests.api.asking import bearer
from tests.api.test_live_tenant import change
from tests.conftest import OpenBed
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.events import Listening
from tests.support.redis_server import RedisServer, Relay, relayed
from tests.support.vendor import Vendor
from tests.support.wait import wait_until

PATH = "/v1/events"
WITHIN_S = 6.0
"""The promise is two seconds; a busy machine may take longer."""


@dataclass
class Remote:
    """A gateway whose every command to the store goes through a relay."""

    bed: Bed
    relay: Relay

    async def fall_deaf(self) -> None:
        """Lose the subscription in silence, and every one that is made after it."""
        await wait_until(lambda: self.bed.gateway.follow.channel.is_open, describing="the channel")
        assert self.relay.fall_silent_to_subscribers() == 1


@pytest.fixture
async def remote(
    redis_server: RedisServer, redis_url: str, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> AsyncIterator[Remote]:
    """A gateway whose subscription can be lost alone."""
    assert redis_url
    async with (
        relayed("unix", redis_server) as (url, relay),
        open_bed(settings_for(url, tmp_path, vendor.url), clock, vendor) as bed,
    ):
        yield Remote(bed, relay)


@pytest.fixture
async def engine(open_gateway_bed: OpenBed) -> AsyncIterator[Bed]:
    """Another process, which changes tasks."""
    async with open_gateway_bed() as bed:
        yield bed


async def test_a_frozen_subscription_delays_news_and_loses_none(
    remote: Remote, engine: Bed
) -> None:
    """A silent connection is noticed, and then looked past."""
    key = await engine.key()
    async with Listening(remote.bed.app, PATH, key) as stream:
        await remote.fall_deaf()
        began_s = time.monotonic()
        missed = await change(engine, key)
        await stream.heard(within_s=WITHIN_S)
        took_s = time.monotonic() - began_s
        later = await change(engine, key)
        await stream.heard(2)

    assert [event.data["id"] for event in stream.events] == [missed, later]
    assert took_s < WITHIN_S


async def test_a_frozen_subscription_delays_waiting_reads_no_longer(
    remote: Remote, engine: Bed
) -> None:
    """They are woken by what has changed, and go on waiting for what has not."""
    key = await engine.key()
    task_id = await engine.created(key, character("seconds:0"))
    other = await engine.created(key, character("seconds:9000"))
    headers = [bearer(key)]
    async with asyncio.TaskGroup() as group:
        read = group.create_task(
            remote.bed.http.get(f"/v1/tasks/{task_id}?wait=60", headers=headers)
        )
        waits_on = group.create_task(
            remote.bed.http.get(f"/v1/tasks/{other}?wait=60", headers=headers)
        )
        follow = remote.bed.gateway.follow
        await wait_until(lambda: follow.audience.waits == 2, describing="two reads to wait")
        await remote.fall_deaf()
        began_s = time.monotonic()
        await engine.pass_time(5)
        await wait_until(read.done, describing="an answer", within_s=WITHIN_S)
        took_s = time.monotonic() - began_s
        assert not waits_on.done()
        follow.drain()

    assert read.result().json()["status"] == "completed"
    assert waits_on.result().json()["status"] == "pending"
    assert took_s < WITHIN_S


async def test_a_caller_that_ends_while_nothing_is_heard_is_noticed(
    remote: Remote, engine: Bed
) -> None:
    """Within the time that everything takes then."""
    key = await engine.key()
    async with Listening(remote.bed.app, PATH, key) as stream:
        await remote.fall_deaf()
        (issued,) = await engine.gateway.store.keys.of_tenant("acme")
        await engine.gateway.store.manage_keys.revoke("acme", issued.id, GATEWAY)
        await stream.ended(within_s=WITHIN_S)

    assert stream.events[-1].data["error"]["reason"] == "invalid_key"


async def test_what_is_said_by_strangers_is_nothing(bed: Bed) -> None:
    """Words that are none of ours wake nobody, and stop nothing."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as stream:
        for word in ("", "!", "!!", "x", "a b", "a b c d", "acme live", "!nobody", "\xff"):
            await bed.gateway.store.redis.publish("rg:news", word)
        task_id = await change(bed, key)
        await stream.heard()

    assert [event.data["id"] for event in stream.events] == [task_id]
