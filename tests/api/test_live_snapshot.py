"""What is shown in place of news that are gone, while the tasks go on changing."""

from __future__ import annotations

import pytest

from app.store.news import NewsReads
from tests.api.browsing import token
from tests.api.test_live_tenant import change, tell
from tests.support.bed import Bed, character
from tests.support.events import Listening
from tests.support.wait import wait_until

PATH = "/v1/events"


async def test_what_a_snapshot_shows_is_told_once_and_never_backwards(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changes between the place of the snapshot and the look at a task are in what it shows."""
    key = await bed.key()
    task_id = await bed.created(key, character("seconds:8"))
    look = NewsReads._changed

    async def change_and_look(self: NewsReads, *given: object, **more: object) -> object:
        await bed.pass_time(2)
        await bed.pass_time(30)
        return await look(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(NewsReads, "_changed", change_and_look)
    async with Listening(bed.app, PATH, key, last_event_id="5-5") as stream:
        await stream.heard()
        monkeypatch.undo()
        later = await change(bed, key)
        await stream.heard(2)

    assert [event.told for event in stream.events] == [(task_id, "completed"), (later, "completed")]


async def test_who_saw_a_snapshot_is_not_told_again_when_it_returns(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was shown moves its place, without an event."""
    key = await bed.key()
    await bed.created(key, character("seconds:8"))
    look = NewsReads._changed

    async def change_and_look(self: NewsReads, *given: object, **more: object) -> object:
        await bed.pass_time(30)
        return await look(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(NewsReads, "_changed", change_and_look)
    async with Listening(bed.app, PATH, key, last_event_id="5-5") as stream:
        await stream.heard()
        monkeypatch.undo()
        newest = await bed.gateway.store.news.newest(tenant_id="acme", mode="live")
        await wait_until(lambda: stream.text.last_id == str(newest), describing="its place")
    async with Listening(bed.app, PATH, key, last_event_id=stream.text.last_id) as resumed:
        later = await change(bed, key)
        await resumed.heard()

    assert [event.data["id"] for event in resumed.events] == [later]


async def test_a_page_misses_no_end_behind_a_thousand_tasks_of_others(bed: Bed) -> None:
    """A thousand are shown, not looked at: a subject's own are found among far more."""
    key = await bed.key()
    ada = await token(bed, key, subject="ada")
    async with Listening(bed.app, PATH, ada) as stream:
        await stream.hears_where_it_is()
    mine = await change(bed, ada)
    bed.clock.advance_ms(1_000)
    others = await bed.gateway.store.redis.keys("*list:acme:live:all:")
    newer = {
        f"task-unified-{number:010d}-{'0' * 25}": bed.clock.now_ms() for number in range(1_001)
    }
    await bed.gateway.store.redis.zadd(others[0], newer)
    await tell(bed, 1_001)

    async with Listening(bed.app, PATH, ada, last_event_id=stream.text.last_id) as resumed:
        await resumed.heard()
    await bed.gateway.store.redis.zrem(others[0], *newer)

    assert [event.told for event in resumed.events] == [(mine, "completed")]
