"""How streams end: with their caller's right to listen, with the process, with a reader too slow.

And what does not end them: silence, and a store that is away.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from app.domain.audit import GATEWAY
from app.flows.tell import EARLIEST_RETURN_MS, LATEST_RETURN_MS
from tests.api.asking import get
from tests.api.test_live_tenant import change, tell
from tests.conftest import OpenBed
from tests.support.answers import error_of
from tests.support.bed import Bed
from tests.support.events import Listening
from tests.support.redis_server import RedisServer
from tests.support.tenant_keys import end_key, issued_key
from tests.support.wait import wait_until

PATH = "/v1/events"
NOTICED_WITHIN_S = 5.0
"""The promise is a second; a busy machine may take longer."""


async def own_id(bed: Bed) -> str:
    """Return the id of the one key of acme."""
    (issued,) = await bed.gateway.store.keys.of_tenant("acme")
    return issued.id


@pytest.mark.parametrize("ending", ["revoked", "disabled", "deleted"])
async def test_whoever_may_listen_no_more_is_told_so_and_hears_nothing_more(
    bed: Bed, ending: str
) -> None:
    """Within a second, by the usual error; a task's stream as a tenant's."""
    key, stranger = await bed.key(), await bed.key("hooli")
    task_id = await bed.created(key)
    paths = (PATH, f"/v1/tasks/{task_id}/events")
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(Listening(bed.app, path, key)) for path in paths]
        other = await stack.enter_async_context(Listening(bed.app, PATH, stranger))
        began_s = time.monotonic()
        if ending == "revoked":
            await bed.revoke("acme", await own_id(bed))
        elif ending == "disabled":
            await bed.switch("acme", disabled=True)
        else:
            await bed.gateway.store.manage_tenants.delete("acme", force=True, by=GATEWAY)
        for stream in streams:
            await stream.ended()
        took_s = time.monotonic() - began_s
        assert not other.is_over

    assert took_s < NOTICED_WITHIN_S
    expected = "tenant_disabled" if ending == "disabled" else "invalid_key"
    for stream in streams:
        assert stream.events[-1].name == "closed"
        assert stream.events[-1].data["error"]["reason"] == expected
        assert stream.events[-1].data["error"]["request_id"] == stream.headers["x-request-id"]


@pytest.mark.parametrize("is_planned", [True, False])
async def test_a_stream_ends_with_its_key(open_gateway_bed: OpenBed, is_planned: bool) -> None:
    """At the planned end and not before, also where that was planned while it was open."""
    async with open_gateway_bed(live={"heartbeat_s": 1}) as bed:
        await bed.key()
        now_ms, keys = bed.clock.now_ms(), bed.gateway.store.keys
        ends_ms = now_ms + 5_000
        key = await issued_key(
            keys, "acme", now_ms=now_ms, expires_ms=ends_ms if is_planned else None
        )
        async with Listening(bed.app, PATH, key) as stream:
            if not is_planned:
                caller = await keys.find_caller(key, "live")
                assert caller is not None
                await end_key(keys, "acme", caller.key_id, at_ms=now_ms, expires_ms=ends_ms)
            await bed.pass_time(4.9)
            beats = stream.text.comments
            await wait_until(lambda: stream.text.comments > beats, describing="a heartbeat")
            assert not stream.is_over

            await bed.pass_time(0.2)
            await stream.ended()

    assert stream.events[-1].data["error"]["reason"] == "invalid_key"


async def test_of_several_changes_at_once_the_one_that_matters_is_seen(bed: Bed) -> None:
    """What is said while a caller is being looked at has it looked at again."""
    key = await bed.key()
    issued = [await bed.another_key("acme") for _ in range(10)]
    for each in issued:
        caller = await bed.gateway.store.keys.find_caller(each, "live")
        assert caller is not None
        async with Listening(bed.app, PATH, each) as stream, Listening(bed.app, PATH, key) as other:
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(bed.limit("acme", creates_per_minute=50 + number))
                group.create_task(bed.revoke("acme", caller.key_id))
            await stream.ended(within_s=NOTICED_WITHIN_S)
            assert not other.is_over


async def test_what_is_gone_for_all_of_a_process_is_not_gone_for_ever(bed: Bed) -> None:
    """Who has to come again because news were lost is served like anybody else."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as stream, Listening(bed.app, PATH, key) as stuck:
        await tell(bed, 1)
        await bed.gateway.store.redis.publish("rg:news", "acme live t")
        await stream.heard()
        await stuck.heard()
        stuck.hold()
        await tell(bed, 1_001)
        await bed.gateway.store.redis.publish("rg:news", "acme live t")
        await stream.ended()
        last_id = stream.text.last_id
        async with Listening(bed.app, PATH, key, last_event_id=last_id) as resumed:
            task_id = await change(bed, key)
            await resumed.heard()

    assert resumed.events[-1].data["id"] == task_id
    assert not resumed.is_over


async def test_a_change_of_the_tenant_that_changes_nothing_here_ends_nothing(bed: Bed) -> None:
    """Other limits, another key: the caller is looked at, and goes on."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as stream:
        await bed.limit("acme", creates_per_minute=50)
        await bed.another_key("acme")
        task_id = await change(bed, key)
        await stream.heard()

    assert [event.data["id"] for event in stream.events] == [task_id]


async def test_a_process_that_stops_sends_its_streams_away(bed: Bed) -> None:
    """Each with a time of its own to come back after, and with nothing lost."""
    key = await bed.key()
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(Listening(bed.app, PATH, key)) for _ in range(20)
        ]
        bed.gateway.follow.drain()
        for stream in streams:
            await stream.ended()
    refused = await get(bed, key, PATH)

    retries_ms = {stream.text.retry_ms for stream in streams}
    assert min(retries_ms) >= EARLIEST_RETURN_MS
    assert max(retries_ms) <= LATEST_RETURN_MS
    assert len(retries_ms) > 10
    assert (refused.status_code, error_of(refused)["reason"]) == (503, "stopping")
    assert not bed.gateway.follow.audience.groups


@pytest.mark.parametrize(
    ("limits", "others"), [({"max_streams_per_tenant": 2}, 200), ({"max_streams": 2}, 429)]
)
async def test_only_so_many_may_listen(
    open_gateway_bed: OpenBed, limits: dict[str, Any], others: int
) -> None:
    """Of a tenant's mode, and of a process; streams and waiting reads count alike."""
    async with open_gateway_bed(live=limits) as bed:
        key, other = await bed.key(), await bed.another_key("acme", mode="test")
        task_id = await bed.created(key)
        async with (
            Listening(bed.app, PATH, key),
            Listening(bed.app, f"/v1/tasks/{task_id}?wait=30", key, put_off=True),
        ):
            await wait_until(lambda: bed.gateway.follow.audience.waits, describing="the wait")
            for path in (PATH, f"/v1/tasks/{task_id}/events", f"/v1/tasks/{task_id}?wait=1"):
                refused = await get(bed, key, path)
                assert (refused.status_code, error_of(refused)["reason"]) == (
                    429,
                    "too_many_streams",
                )
                assert refused.headers["retry-after"] == "5"
            async with Listening(bed.app, PATH, other) as tried:
                assert tried.status == others
            assert (await get(bed, key, f"/v1/tasks/{task_id}")).status_code == 200
        async with Listening(bed.app, PATH, key) as again:
            assert again.status == 200


async def test_a_quiet_stream_shows_that_it_lives(open_gateway_bed: OpenBed) -> None:
    """By comments, which are no events."""
    async with open_gateway_bed(live={"heartbeat_s": 1}) as bed:
        key = await bed.key()
        async with Listening(bed.app, PATH, key) as stream:
            await wait_until(lambda: stream.text.comments == 2, describing="two heartbeats")
            opening, writes = stream.text.last_id, stream.writes

    assert (stream.events, writes) == ([], 3)
    assert stream.text.last_id == opening


async def test_a_reader_that_takes_nothing_is_hung_up_on_and_loses_nothing(
    bed: Bed,
) -> None:
    """While others hear; what it has not taken it is told when it comes again."""
    bed.gateway.follow.tell.stuck_s = 0.3
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as slow, Listening(bed.app, PATH, key) as quick:
        slow.hold()
        ids = [await change(bed, key) for _ in range(3)]
        await quick.heard(3)
        await wait_until(lambda: slow.was_cut_off, describing="the slow one to be cut off")

    told = len(slow.events)
    last_id = slow.text.last_id
    async with Listening(bed.app, PATH, key, last_event_id=last_id) as resumed:
        await resumed.heard(3 - told)

    assert [event.data["id"] for event in [*slow.events, *resumed.events]] == ids
    assert [event.data["id"] for event in quick.events] == ids


async def test_a_reader_that_falls_too_far_behind_is_sent_away(bed: Bed) -> None:
    """Nothing is kept for it: once the news it lacks are gone, it has to come again."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as slow:
        slow.hold()
        await change(bed, key)
        group = next(iter(bed.gateway.follow.audience.groups.values()))
        await wait_until(lambda: group.writing, describing="a write that is held up")
        await tell(bed, 1_000)
        await change(bed, key)
        slow.read_on()
        await slow.ended()

    assert len(slow.events) == 1
    assert slow.text.retry_ms != 2_000
    async with Listening(bed.app, PATH, key, last_event_id=slow.text.last_id) as resumed:
        await resumed.heard(2)


async def test_nothing_is_kept_for_streams_at_rest(bed: Bed) -> None:
    """Once all have been told, the news are the store's alone; of those who left nothing stays."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as stream:
        await change(bed, key)
        await stream.heard()
        (group,) = bed.gateway.follow.audience.groups.values()
        await wait_until(lambda: not group.writing, describing="the stream to be at rest")
        kept = group.since(stream_place(bed))

    assert kept == []
    follow = bed.gateway.follow
    assert (follow.audience.groups, follow.audience.by_caller) == ({}, {})
    assert (follow.audience.streams, follow.audience.waits) == (0, 0)


def stream_place(bed: Bed) -> Any:
    """Return the place of the one stream there is."""
    (stream,) = bed.gateway.follow.audience.every_stream()
    return stream.place


async def test_a_store_that_is_away_ends_no_stream(
    open_gateway_bed: OpenBed, redis_server: RedisServer
) -> None:
    """When it is back, everything is told that happened meanwhile, once."""
    async with open_gateway_bed(redis_timeout_s=0.5) as bed:
        key = await bed.key()
        async with Listening(bed.app, PATH, key) as stream:
            first = await change(bed, key)
            await stream.heard()
            (group,) = bed.gateway.follow.audience.groups.values()
            redis_server.freeze()
            await wait_until(
                lambda: group.is_stale and not group.is_reading, describing="a look in vain"
            )
            redis_server.thaw()
            second = await change(bed, key)
            await stream.heard(2)

    assert [event.data["id"] for event in stream.events] == [first, second]
    assert not stream.is_over


async def test_news_that_nobody_was_told_of_are_found(bed: Bed) -> None:
    """What was published while the connection was gone is read when there is another."""
    key = await bed.key()
    redis: Redis = bed.gateway.store.redis
    async with Listening(bed.app, PATH, key) as stream:
        await tell(bed, 1)
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await stream.heard(within_s=NOTICED_WITHIN_S)

    assert len(stream.events) == 1


async def test_how_long_a_client_listened_is_no_time_of_the_gateway(
    open_gateway_bed: OpenBed,
) -> None:
    """The histogram has the time until the stream began; the number of listeners is told."""
    async with open_gateway_bed(live={"heartbeat_s": 1}) as bed:
        key = await bed.key()
        began_s = time.monotonic()
        async with Listening(bed.app, PATH, key) as stream:
            await wait_until(lambda: stream.text.comments == 2, describing="two heartbeats")
            listeners = sample(bed, "reelgate_listeners", kind="stream")
        open_s = time.monotonic() - began_s

    assert listeners == 1
    assert sample(bed, "reelgate_listeners", kind="stream") == 0
    assert sample(bed, "reelgate_request_seconds_count", route=PATH) == 1
    assert sample(bed, "reelgate_request_seconds_sum", route=PATH) < open_s / 2


def sample(bed: Bed, name: str, **labels: str) -> float:
    """Return what a metric shows."""
    return bed.gateway.metrics.registry.get_sample_value(name, labels) or 0.0
