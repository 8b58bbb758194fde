"""GET /v1/events: every change of every task of a tenant, without gaps and without repeats."""

from __future__ import annotations

import pytest

from app.domain.contract import encode
from app.store.keys import Shard
from tests.api.asking import get
from tests.conftest import OpenBed
from tests.support.bed import Bed, character
from tests.support.events import Listening

PATH = "/v1/events"


async def tell(bed: Bed, count: int) -> None:
    """Let so many news of tasks go by that nobody knows, their ids numbered."""
    name, at_ms = Shard.of("acme").news("acme", "live"), bed.clock.now_ms()
    about = {"task": "t", "event": "task.processing", "subject": ""}
    async with bed.gateway.store.redis.pipeline(transaction=False) as pipe:
        for number in range(count):
            body = encode({"id": str(number), "status": "processing"})
            pipe.xadd(name, about | {"body": body}, f"{at_ms}-*", maxlen=1000, approximate=False)
        pipe.pexpire(name, 86_400_000)
        await pipe.execute()


async def change(bed: Bed, key: str) -> str:
    """Have a task of a caller's come to its end, which is one event; returns its id."""
    task_id = await bed.created(key, character("seconds:0"))
    await bed.pass_time(5)
    return task_id


async def test_a_tenant_hears_of_all_its_tasks_from_now_on(bed: Bed) -> None:
    """Each change is one event, whose data is the answer of its task; what was before is not."""
    key = await bed.key()
    await bed.created(key)
    async with Listening(bed.app, PATH, key) as stream:
        assert stream.text.last_id, "whoever is cut off before the first event goes on from here"
        ids = [await bed.created(key, character("seconds:8")) for _ in range(2)]
        await bed.pass_time(2)
        await bed.pass_time(30)
        await stream.heard(4)

    told = [event.told for event in stream.events]
    for task_id in ids:
        own = [status for each, status in told if each == task_id]
        assert own == ["processing", "completed"]
    for event in stream.events:
        assert event.name == f"task.{event.data['status']}"
        if event.name == "task.completed":
            assert event.data == (await bed.read(key, event.data["id"])).json()


async def test_two_streams_of_a_tenant_are_told_the_same(bed: Bed) -> None:
    """Under the same ids, so that either can go on for the other."""
    key, colleague = await bed.key(), await bed.another_key("acme")
    async with Listening(bed.app, PATH, key) as one, Listening(bed.app, PATH, colleague) as other:
        await change(bed, key)
        await change(bed, colleague)
        await one.heard(2)
        await other.heard(2)

    assert one.events == other.events


async def test_nothing_of_others_is_told(bed: Bed) -> None:
    """Neither of other tenants nor of the tenant's other mode."""
    key, test = await bed.key(), await bed.another_key("acme", mode="test")
    stranger = await bed.key("hooli")
    async with Listening(bed.app, PATH, key) as live, Listening(bed.app, PATH, test) as tested:
        await bed.created(stranger, character("seconds:0"))
        own = await bed.created(key, character("seconds:0"))
        tried = await bed.created(test, character("seconds:0"))
        await bed.pass_time(60)
        await live.heard()
        await tested.heard()

    assert {event.data["id"] for event in live.events} == {own}
    assert {event.data["id"] for event in tested.events} == {tried}


async def test_whoever_was_cut_off_goes_on_where_it_was(bed: Bed) -> None:
    """From the last event, or from where the stream began; by whichever process."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as silent:
        pass
    first = await change(bed, key)
    async with Listening(bed.app, PATH, key, last_event_id=silent.text.last_id) as second:
        await second.heard()
    missed = await change(bed, key)

    async with Listening(bed.app, PATH, key, last_event_id=second.text.last_id) as third:
        await third.heard()
        last = await change(bed, key)
        await third.heard(2)

    told = [event.data["id"] for stream in (second, third) for event in stream.events]
    assert told == [first, missed, last]


async def test_another_process_knows_the_ids(open_gateway_bed: OpenBed) -> None:
    """They are the store's, not the process's."""
    async with open_gateway_bed() as one, open_gateway_bed() as other:
        key = await one.key()
        async with Listening(one.app, PATH, key) as stream:
            await change(one, key)
            await stream.heard()
        missed = await change(one, key)

        last_id = stream.text.last_id
        async with Listening(other.app, PATH, key, last_event_id=last_id) as resumed:
            await resumed.heard()
            last = await change(one, key)
            await resumed.heard(2)

    assert [event.data["id"] for event in resumed.events] == [missed, last]


async def test_what_is_gone_is_made_up_for_by_what_the_tasks_show(bed: Bed) -> None:
    """An event for each task that is open or has ended since; only the last moves the client."""
    key = await bed.key()
    early = await change(bed, key)
    bed.clock.advance_ms(3_600_000)
    seen = await change(bed, key)
    async with Listening(bed.app, PATH, key) as stream:
        open_task = await bed.created(key, character("seconds:9000"))
    ended = await change(bed, key)
    await tell(bed, 1000)

    last_id = stream.text.last_id
    async with Listening(bed.app, PATH, key, last_event_id=last_id) as resumed:
        shown = dict(event.told for event in await resumed.heard(3))
        await change(bed, key)
        await resumed.heard(4)

    # The last that was seen may be shown again: clocks are not that exact.
    assert shown == {open_task: "pending", seen: "completed", ended: "completed"}
    assert early not in {event.data["id"] for event in resumed.events}
    assert [bool(event.id) for event in resumed.events] == [False, False, True, True]


@pytest.mark.parametrize("last_id", ["0", "nonsense", "1-1", "999999999999999-0", "\xff"])
async def test_an_id_that_is_not_known_gets_what_the_tasks_show(bed: Bed, last_id: str) -> None:
    """All of them, up to a thousand, as nobody can say what the client has seen."""
    key = await bed.key()
    ids = {await bed.created(key, character("seconds:0")) for _ in range(3)}
    await bed.pass_time(5)

    async with Listening(bed.app, PATH, key, last_event_id=last_id) as stream:
        await stream.heard(3)

    assert {event.data["id"] for event in stream.events} == ids
    assert [bool(event.id) for event in stream.events] == [False, False, True]


async def test_where_there_is_nothing_to_show_the_client_learns_where_it_is(bed: Bed) -> None:
    """No event, and an id to go on from."""
    key = await bed.key()

    async with Listening(bed.app, PATH, key, last_event_id="1-1") as stream:
        await stream.hears_where_it_is()
        await change(bed, key)
        await stream.heard()

    assert [event.name for event in stream.events] == ["task.completed"]


async def test_who_breaks_off_amid_a_snapshot_is_shown_it_again(bed: Bed) -> None:
    """Its place has not moved: only the last event of a snapshot has an id."""
    key = await bed.key()
    for _ in range(3):
        await bed.created(key)

    async with Listening(bed.app, PATH, key, last_event_id="1-1") as stream:
        await stream.heard(3)

    assert [event.id for event in stream.events[:-1]] == ["", ""]


async def test_more_than_a_page_of_news_is_caught_up_with(bed: Bed) -> None:
    """All of them, in order, and what comes while that is written."""
    key = await bed.key()
    async with Listening(bed.app, PATH, key) as stream:
        pass
    first = await change(bed, key)
    await tell(bed, 250)

    last_id = stream.text.last_id
    async with Listening(bed.app, PATH, key, last_event_id=last_id) as resumed:
        last = await change(bed, key)
        await resumed.heard(252)

    told = [event.data["id"] for event in resumed.events]
    assert told == [first, *map(str, range(250)), last]


async def test_a_stream_counts_as_one_read(bed: Bed) -> None:
    """However long it is open."""
    key = await bed.key(reads_per_second=1)

    async with Listening(bed.app, PATH, key):
        refused = await get(bed, key, PATH)

    assert refused.status_code == 429
