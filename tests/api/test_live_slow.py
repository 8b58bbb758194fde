"""Clients that read slowly, or stop: nothing is lost, and nothing is kept for them for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.flows.listeners import Stream
from tests.api.test_live_tenant import tell
from tests.conftest import OpenBed
from tests.support.bed import Bed, character
from tests.support.events import Listening
from tests.support.wait import wait_until

PATH = "/v1/events"


async def say(bed: Bed, count: int = 1) -> None:
    """Have so many news written, and read by the process."""
    await tell(bed, count)
    await bed.gateway.store.redis.publish("rg:news", "acme live t")
    newest = await bed.gateway.store.news.newest(tenant_id="acme", mode="live")
    (group,) = bed.gateway.follow.audience.groups.values()
    await wait_until(lambda: group.place == newest, describing="the news to be read")


def only_stream(bed: Bed) -> Stream:
    """Return the one stream that there is."""
    (stream,) = bed.gateway.follow.audience.every_stream()
    return stream


async def test_what_is_told_while_a_heartbeat_waits_is_told_after_it(
    open_gateway_bed: OpenBed,
) -> None:
    """However often there is something new meanwhile."""
    async with open_gateway_bed(live={"heartbeat_s": 1}) as bed:
        key = await bed.key()
        async with Listening(bed.app, PATH, key) as stream:
            await wait_until(lambda: not only_stream(bed).is_busy, describing="a stream at rest")
            stream.hold()
            await wait_until(lambda: only_stream(bed).is_busy, describing="a heartbeat that waits")
            for _ in range(3):
                await say(bed)
            stream.read_on()
            await stream.heard(3)

    assert len({event.id for event in stream.events}) == 3


async def test_a_heartbeat_asks_the_store_nothing(open_gateway_bed: OpenBed) -> None:
    """Also where there were news for others, and even where those are gone by now."""
    async with open_gateway_bed(live={"heartbeat_s": 1}) as bed:
        key = await bed.key()
        task_id = await bed.created(key)
        async with (
            Listening(bed.app, PATH, key) as everything,
            Listening(bed.app, f"/v1/tasks/{task_id}/events", key) as quiet,
        ):
            for _ in range(11):
                await say(bed, 100)
            await everything.heard(1_100)
            await bed.gateway.store.redis.config_resetstat()
            beats = quiet.text.comments
            await wait_until(
                lambda: quiet.text.comments >= beats + 2, describing="two heartbeats more"
            )
            stats = await bed.gateway.store.redis.info("commandstats")

    assert "cmdstat_evalsha" not in stats
    assert not quiet.was_cut_off
    assert quiet.text.retry_ms == 2_000


@pytest.mark.parametrize("last_id", ["", "5-5"])
async def test_who_stops_reading_while_a_stream_begins_is_hung_up_on(
    bed: Bed, last_id: str
) -> None:
    """With the first words, or amid what is shown in place of what is gone."""
    bed.gateway.follow.tell.stuck_s = 0.3
    key = await bed.key()
    await bed.created(key)
    headers = {"last_event_id": last_id} if last_id else {}
    stream = Listening(bed.app, PATH, key, put_off=True, **headers)
    stream.hold()
    async with stream:
        await wait_until(lambda: stream.was_cut_off, describing="the client to be cut off")
        await wait_until(
            lambda: not bed.gateway.follow.audience.streams, describing="the stream to be gone"
        )

    assert not stream.events


async def test_who_stops_reading_at_the_end_is_hung_up_on(bed: Bed) -> None:
    """The end of the answer has to be taken in time, too."""
    bed.gateway.follow.tell.stuck_s = 0.3
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:8"))
    async with Listening(bed.app, f"/v1/tasks/{task_id}/events", key) as stream:
        await stream.heard()
        deliver = only_stream(bed)._send

        async def deliver_and_stop(message: dict[str, Any]) -> None:
            await deliver(message)
            if b"completed" in message["body"]:
                stream.hold()

        only_stream(bed)._send = deliver_and_stop
        await bed.pass_time(60)
        await wait_until(lambda: stream.was_cut_off, describing="the client to be cut off")


async def test_a_stream_that_ends_is_shown_no_more_of_a_snapshot(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may listen no more, or has been hung up on, costs no further reads."""
    monkeypatch.setattr("app.store.news.PAGE", 1)
    key = await bed.key()
    for _ in range(3):
        await bed.created(key)
    stream = Listening(bed.app, PATH, key, put_off=True, last_event_id="5-5")
    stream.hold()
    streams = bed.gateway.follow.audience.every_stream
    async with stream:
        await wait_until(
            lambda: any(each.sending_since_s for each in streams()),
            describing="a stream whose beginning waits",
        )
        bed.gateway.follow.drain()
        stream.read_on()
        await stream.ended()

    assert len(stream.events) < 3
    assert stream.text.last_id == ""


async def test_a_burst_holds_nobody_up(bed: Bed) -> None:
    """Many streams are written to some at a time, and each event is put into words once."""
    key = await bed.key()
    caller = await bed.gateway.store.keys.find_caller(key, "live")
    assert caller is not None
    follow, written, turns = bed.gateway.follow, list[bytes](), list[int]()

    async def take(message: dict[str, Any]) -> None:
        written.append(message["body"])

    streams = [Stream(caller, "", take, lambda: None, "req_1") for _ in range(1_000)]
    for stream in streams:
        follow.audience.add_stream(stream)
    (group,) = follow.audience.groups.values()
    following = await bed.gateway.store.news.follow_tenant(
        None, caller=caller, now_ms=bed.clock.now_ms()
    )
    group.begin_at(following.place)
    for stream in streams:
        stream.place = following.place
        follow.begin(stream)
    await wait_until(lambda: not group.writing, describing="streams at rest")
    await tell(bed, 50)

    follow.tell.tell(group)
    while len(written) < len(streams):
        before = len(written)
        await asyncio.sleep(0)
        turns.append(len(written) - before)

    for stream in streams:
        follow.audience.remove_stream(stream)
        follow.vigil.remove(stream)
    assert max(turns) <= 200
    assert len(set(written)) == 1
