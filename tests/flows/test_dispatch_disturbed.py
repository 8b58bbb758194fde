"""Dispatches while something is away: the vendor altogether, or the store's reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from redis.asyncio import Redis

from app.clock import HeldClock
from app.errors import StoreUnavailable
from app.flows.dispatch import DispatchTasks
from app.sandbox import SandboxOptions
from app.sandbox.server import running_sandbox
from app.store.identity import StoreIdentity
from app.store.task_queue import TaskQueue
from tests.flows.watching import sends_end
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.redis_server import free_port
from tests.support.vendor import Vendor

RETRY_S = 10
BRIEF = character("seconds:1")


class Deaf(TaskQueue):
    """A queue that loses as many replies as it is told to, after the store has done its part."""

    def __init__(self, redis: Redis, identity: StoreIdentity, *, losing: int) -> None:
        super().__init__(redis, identity)
        self._losing = losing

    async def dispatch(self, *args: Any, **named: Any) -> Any:
        """Dispatch, and perhaps lose the reply."""
        return self._heard(await super().dispatch(*args, **named))

    async def requeue(self, *args: Any, **named: Any) -> Any:
        """Requeue, and perhaps lose the reply."""
        return self._heard(await super().requeue(*args, **named))

    def _heard(self, reply: Any) -> Any:
        if self._losing == 0:
            return reply
        self._losing -= 1
        raise StoreUnavailable


def deafen(bed: Bed, *, losing: int) -> None:
    """Let the gateway's dispatches, and the sends that follow them, lose so many replies each."""
    store, flows = bed.gateway.store, bed.gateway.engine.flows
    flow = cast(DispatchTasks, flows["dispatch"])
    flows["dispatch"] = replace(
        flow,
        queue=Deaf(store.redis, store.identity, losing=losing),
        send=replace(flow.send, queue=Deaf(store.redis, store.identity, losing=losing)),
    )


async def sent_now(bed: Bed) -> None:
    """Let everything go out that can go now."""
    await bed.work()
    await sends_end(bed)


async def test_a_dispatch_whose_reply_is_lost_is_sent_once(bed: Bed) -> None:
    """It is asked for again by the one who took it, and neither doubted nor sent by two."""
    key = await bed.key(tasks_in_flight=1, when_full="queue")
    await bed.created(key, BRIEF)
    task_id = await bed.created(key, BRIEF)
    deafen(bed, losing=2)

    await bed.pass_time(2)
    await sent_now(bed)

    assert (await bed.stored(task_id))["state"] == "submitted"
    assert len(bed.vendor.creates()) == 2


async def test_a_requeue_whose_reply_is_lost_keeps_the_task(bed: Bed) -> None:
    """It is back in its place once, and goes out when the vendor takes it."""
    key = await bed.key(tasks_in_flight=1, when_full="queue", when_vendor_down="queue")
    await bed.created(key, BRIEF)
    task_id = await bed.created(key, BRIEF)
    bed.vendor.fault("status", times=1, status=429, retry_after=1)
    deafen(bed, losing=2)

    await bed.pass_time(2)
    await sent_now(bed)
    held = await bed.stored(task_id)
    await bed.pass_time(RETRY_S)
    await sent_now(bed)

    assert held["state"] == "queued"
    assert (await bed.stored(task_id))["state"] == "submitted"
    assert len(bed.vendor.creates()) == 3


async def test_tasks_wait_for_a_vendor_that_cannot_be_reached(
    redis_url: str, vendor: Vendor, clock: HeldClock, tmp_path: Any
) -> None:
    """Answered 200 with their places; when it listens again they go out in order, each once."""
    port = free_port()
    settings = settings_for(redis_url, tmp_path, f"http://127.0.0.1:{port}")
    async with open_bed(settings, clock, vendor) as bed:
        key = await bed.key(when_vendor_down="queue")
        bodies = [character("seconds:900", timestamps=f"{n},{n + 1}") for n in range(3)]
        told = [(await bed.create(key, body)).json() for body in bodies]
        await bed.pass_time(RETRY_S)
        await sends_end(bed)

        with running_sandbox(SandboxOptions(), port=port) as opened:
            late_vendor = Vendor(opened.url)
            for _ in bodies:
                await bed.pass_time(RETRY_S)
                await sent_now(bed)
            journal = late_vendor.creates()
            late_vendor.close()

    assert [each["status"] for each in told] == ["pending"] * 3
    assert [each["task_info"]["queue_position"] for each in told] == [1, 2, 3]
    assert [entry["body"]["timestamps"] for entry in journal] == ["0,1", "1,2", "2,3"]
    assert audit(read_books(redis_url), journal) == []
