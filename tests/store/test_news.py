"""What followers read: the news after a place, and whether nothing since is gone."""

from __future__ import annotations

import pytest

from app.domain.news import NewsEntry, Place
from app.domain.task import Task, TaskState
from app.domain.tenant import Caller
from app.errors import InvalidKey, StoreForeign, TaskNotFound, TenantDisabled
from app.store.keys import Shard
from app.store.news import PAGE, NewsReads, NewsTrimmed
from tests.store.shelf import Shelf

DAY_MS = 86_400_000


@pytest.fixture
def news(shelf: Shelf) -> NewsReads:
    """What a process reads news with."""
    return NewsReads(shelf.redis, shelf.identity.epoch_id)


async def told(news: NewsReads, shelf: Shelf, caller: Caller, place: Place) -> list[NewsEntry]:
    """Return the entries after a place."""
    return await news.after(
        place, tenant_id=caller.tenant_id, mode=caller.mode, now_ms=shelf.clock.now_ms()
    )


async def start(news: NewsReads, shelf: Shelf, caller: Caller, last: Place | None = None) -> Place:
    """Return where a caller begins to follow its tasks."""
    found = await news.follow_tenant(last, caller=caller, now_ms=shelf.clock.now_ms())
    return found.place


async def resumes(news: NewsReads, shelf: Shelf, caller: Caller, last: Place) -> bool:
    """Return whether a caller can go on after a place."""
    found = await news.follow_tenant(last, caller=caller, now_ms=shelf.clock.now_ms())
    return found.resumes


async def tell_many(shelf: Shelf, caller: Caller, count: int) -> None:
    """Put so many entries into a caller's news, as the scripts write them."""
    name, at_ms = Shard.of(caller.tenant_id).news(caller.tenant_id, caller.mode), 0
    async with shelf.redis.pipeline(transaction=False) as pipe:
        for _ in range(count):
            at_ms = shelf.clock.now_ms()
            fields = {"task": "t", "event": "task.processing", "subject": "", "body": "{}"}
            pipe.xadd(name, fields, id=f"{at_ms}-*", maxlen=1000, approximate=False)
        pipe.pexpireat(name, at_ms + DAY_MS)
        await pipe.execute()


async def test_every_change_is_told_after_the_place_before_it(
    shelf: Shelf, news: NewsReads
) -> None:
    """In order, each with its task, its event and the answer that it led to."""
    caller = await shelf.caller()
    place = await start(news, shelf, caller)
    task = await shelf.submitted(caller)
    shelf.clock.advance_ms(1_000)
    await shelf.move(task, TaskState.COMPLETED)

    entries = await told(news, shelf, caller, place)

    assert [entry.event for entry in entries] == ["task.pending", "task.completed"]
    assert [entry.task_id for entry in entries] == [task.id] * 2
    assert entries[1].body == b'{"status":"completed"}'
    assert entries[1].place == Place(shelf.clock.now_ms(), 0)
    assert await told(news, shelf, caller, entries[0].place) == entries[1:]
    assert await told(news, shelf, caller, entries[1].place) == []


async def test_a_page_at_a_time_is_read(shelf: Shelf, news: NewsReads) -> None:
    """The next one begins where it ends."""
    caller = await shelf.caller()
    place = await start(news, shelf, caller)
    await tell_many(shelf, caller, PAGE + 3)

    first = await told(news, shelf, caller, place)
    rest = await told(news, shelf, caller, first[-1].place)

    assert (len(first), len(rest)) == (PAGE, 3)


@pytest.mark.parametrize("mode", ["live", "test"])
async def test_news_of_others_are_not_told(shelf: Shelf, news: NewsReads, mode: str) -> None:
    """Neither of another tenant nor of the tenant's other mode."""
    own = await shelf.caller()
    place = await start(news, shelf, own)
    await shelf.submitted(await shelf.caller("hooli"))
    other = Caller(tenant_id="acme", key_id=own.key_id, mode="test" if mode == "live" else "live")
    tester = await shelf.caller("globex", mode="test")
    await shelf.submitted(tester)

    assert await told(news, shelf, own, place) == []
    assert await told(news, shelf, other, place) == []


async def test_nothing_is_missed_by_who_begins_before_the_first_news(
    shelf: Shelf, news: NewsReads
) -> None:
    """The place before all news is one like any other, also for a process whose clock is behind."""
    caller = await shelf.caller()
    place = await start(news, shelf, caller)
    shelf.clock.advance_ms(-30_000)
    await shelf.submitted(caller)

    assert len(await told(news, shelf, caller, place)) == 1
    assert await resumes(news, shelf, caller, place)


async def test_news_that_were_pushed_out_are_known_to_be_gone(
    shelf: Shelf, news: NewsReads
) -> None:
    """A thousand are kept: who is further behind is told so, not served with a gap."""
    caller = await shelf.caller()
    before = await start(news, shelf, caller)
    await tell_many(shelf, caller, 1)
    last = await start(news, shelf, caller)
    await tell_many(shelf, caller, 999)
    assert len(await told(news, shelf, caller, last)) == PAGE
    assert await resumes(news, shelf, caller, last)
    assert await resumes(news, shelf, caller, before)

    await tell_many(shelf, caller, 1)

    for place in (before, last):
        assert not await resumes(news, shelf, caller, place)
        with pytest.raises(NewsTrimmed):
            await told(news, shelf, caller, place)


async def test_an_id_that_was_never_given_out_is_no_place_to_go_on_from(
    shelf: Shelf, news: NewsReads
) -> None:
    """Between two entries, before the first, after the last, or long ago."""
    caller = await shelf.caller()
    await tell_many(shelf, caller, 2)
    shelf.clock.advance_ms(5_000)
    await tell_many(shelf, caller, 1)
    now_ms = shelf.clock.now_ms()

    for place in [
        Place(now_ms - 2_000, 0),
        Place(now_ms - 5_000, 7),
        Place(now_ms, 1),
        Place(now_ms + 1, 0),
        Place(now_ms - DAY_MS - 1, 0),
        Place(now_ms - 10_000, 1),
        Place(0, 0),
    ]:
        assert not await resumes(news, shelf, caller, place), place
    assert await resumes(news, shelf, caller, Place(now_ms, 0))


async def test_after_a_day_without_news_a_place_from_before_is_none(
    shelf: Shelf, news: NewsReads
) -> None:
    """What was told meanwhile, and is gone with the whole stream, would be missed."""
    caller = await shelf.caller()
    place = await start(news, shelf, caller)
    shelf.clock.advance_ms(DAY_MS)

    assert not await resumes(news, shelf, caller, place)


async def test_a_task_and_its_place_are_read_at_one_instant(shelf: Shelf, news: NewsReads) -> None:
    """What it shows contains all that was told up to there, and nothing of what comes after."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller)

    found = await news.follow_task(task.id, None, caller=caller, now_ms=shelf.clock.now_ms())
    await shelf.move(task, TaskState.COMPLETED)
    ended = await news.follow_task(task.id, None, caller=caller, now_ms=shelf.clock.now_ms())

    assert (found.body, found.finished) == (task.body, False)
    assert not found.following.resumes
    after = await told(news, shelf, caller, found.following.place)
    assert [entry.event for entry in after] == ["task.completed"]
    assert (ended.body, ended.finished) == (b'{"status":"completed"}', True)
    assert ended.following.place == after[-1].place


async def test_a_queued_task_shows_its_place_in_the_queue(shelf: Shelf, news: NewsReads) -> None:
    """As its read does."""
    caller = await shelf.caller(tasks_in_flight=0, when_full="queue")
    await shelf.queued(caller)
    task = await shelf.queued(caller)

    found = await news.follow_task(task.id, None, caller=caller, now_ms=shelf.clock.now_ms())

    assert b'"queue_position":2' in found.body


async def test_a_foreign_task_is_followed_by_nobody(shelf: Shelf, news: NewsReads) -> None:
    """Another tenant, the other mode, another subject, a task that never was: all unknown."""
    owner = await shelf.caller()
    task = await shelf.submitted(owner)
    refused = await shelf.admit(owner)
    await shelf.move(refused, TaskState.REJECTED)
    strangers = [
        (await shelf.caller("hooli"), task.id),
        (await shelf.caller(mode="test"), task.id),
        (owner.model_copy(update={"subject": "somebody"}), task.id),
        (owner, refused.id),
        (owner, task.id[:-1] + "!"),
    ]

    for caller, task_id in strangers:
        with pytest.raises(TaskNotFound):
            await news.follow_task(task_id, None, caller=caller, now_ms=shelf.clock.now_ms())


async def test_a_caller_is_checked_whenever_it_asks(shelf: Shelf, news: NewsReads) -> None:
    """With its own word for each reason."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller)
    now_ms = shelf.clock.now_ms()
    for disabled, error in ((True, TenantDisabled), (False, InvalidKey)):
        await shelf.switch("acme", disabled=disabled)
        if not disabled:
            assert await news.check(caller, now_ms=now_ms) is None
            await shelf.revoke("acme", caller.key_id)

        with pytest.raises(error):
            await news.check(caller, now_ms=now_ms)
        with pytest.raises(error):
            await news.follow_tenant(None, caller=caller, now_ms=now_ms)
        with pytest.raises(error):
            await news.follow_task(task.id, None, caller=caller, now_ms=now_ms)
        with pytest.raises(error):
            async for _ in news.snapshot(0, caller=caller, now_ms=now_ms):
                pass


async def test_a_key_that_is_to_end_is_told_with_its_end(shelf: Shelf, news: NewsReads) -> None:
    """So that a stream can end with it, without asking."""
    caller = await shelf.caller()
    ends_ms = shelf.clock.now_ms() + 5_000
    name = Shard.of("acme").key("acme", caller.key_id)
    await shelf.redis.hset(name, "expires_ms", ends_ms)

    found = await news.follow_tenant(None, caller=caller, now_ms=shelf.clock.now_ms())

    assert found.ends_ms == ends_ms
    assert await news.check(caller, now_ms=ends_ms - 1) == ends_ms
    with pytest.raises(InvalidKey):
        await news.check(caller, now_ms=ends_ms)


@pytest.mark.usefixtures("shelf")
async def test_an_exchanged_store_tells_nothing(bare_shelf: Shelf) -> None:
    """Its news would be another's."""
    caller, now_ms = await bare_shelf.caller(), bare_shelf.clock.now_ms()
    news = NewsReads(bare_shelf.redis, "another")

    for asked in (
        news.after(Place(0, 0), tenant_id="acme", mode="live", now_ms=now_ms),
        news.follow_tenant(None, caller=caller, now_ms=now_ms),
        news.check(caller, now_ms=now_ms),
        anext(news.snapshot(0, caller=caller, now_ms=now_ms)),
    ):
        with pytest.raises(StoreForeign):
            await asked


async def shown_instead(
    news: NewsReads, shelf: Shelf, caller: Caller, since_ms: int
) -> tuple[Place, list[bytes]]:
    """Return what a snapshot consists of: its place, and what is shown."""
    now_ms = shelf.clock.now_ms()
    pages = [page async for page in news.snapshot(since_ms, caller=caller, now_ms=now_ms)]
    assert pages[0].bodies == {}
    return pages[0].place, [body for page in pages for body in page.bodies.values()]


async def list_strangers(shelf: Shelf, count: int) -> list[str]:
    """List so many ended tasks as the tenant's newest, created at one instant; returns their ids.

    Nothing else is there of them, so to everybody they are somebody else's.
    """
    shelf.clock.advance_ms(1_000)
    at_ms = shelf.clock.now_ms()
    newer = {f"task-unified-{number:010d}-{'0' * 25}": at_ms for number in range(count)}
    await shelf.redis.zadd(Shard.of("acme").listed("acme", "live", "all"), newer)
    return list(newer)


async def ended(shelf: Shelf, caller: Caller) -> Task:
    """Return a task that has just ended."""
    task = await shelf.submitted(caller)
    await shelf.move(task, TaskState.COMPLETED)
    return task


async def test_a_snapshot_has_what_is_open_and_what_has_ended_since(
    shelf: Shelf, news: NewsReads
) -> None:
    """The newest first; what had ended long before is nothing new."""
    caller = await shelf.caller()
    old_open = await shelf.submitted(caller)
    await ended(shelf, caller)
    shelf.clock.advance_ms(3_600_000)
    since_ms = shelf.clock.now_ms()
    lately = await ended(shelf, caller)
    shelf.clock.advance_ms(1_000)
    young = await shelf.admit(caller)

    place, shown = await shown_instead(news, shelf, caller, since_ms)

    assert shown == [young.body, b'{"status":"completed"}', old_open.body]
    assert place == await start(news, shelf, caller)
    _, everything = await shown_instead(news, shelf, caller, 0)
    assert len(everything) == 4
    assert lately.id != young.id


async def test_an_open_task_is_in_the_snapshot_however_old_it_is(
    shelf: Shelf, news: NewsReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where more newer ones have ended than are looked at."""
    monkeypatch.setattr("app.store.news.IDS_PAGE", 4)
    monkeypatch.setattr("app.store.news.MOST_LOOKED_AT", 8)
    caller = await shelf.caller()
    old = await shelf.submitted(caller)
    await ended(shelf, caller)
    newer = await list_strangers(shelf, 10)

    _, shown = await shown_instead(news, shelf, caller, 0)

    assert shown == [old.body]
    await shelf.redis.zrem(Shard.of("acme").listed("acme", "live", "all"), *newer)


@pytest.mark.parametrize("pages", [1, 3])
async def test_many_newer_tasks_of_others_hide_none_that_has_ended(
    shelf: Shelf, news: NewsReads, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times as many are looked at as are shown, page by page, each task once."""
    monkeypatch.setattr("app.store.news.IDS_PAGE", 1_200 // pages)
    caller = await shelf.caller()
    own = caller.model_copy(update={"subject": "user-1"})
    expected = {(await ended(shelf, own)).id for _ in range(3)}
    strangers = await list_strangers(shelf, 1_200)

    now_ms = shelf.clock.now_ms()
    found = [page async for page in news.snapshot(0, caller=own, now_ms=now_ms)]

    shown = [task_id for page in found for task_id in page.bodies]
    assert sorted(shown) == sorted(expected)
    await shelf.redis.zrem(Shard.of("acme").listed("acme", "live", "all"), *strangers)


async def test_each_page_of_a_snapshot_says_up_to_where_it_has_the_news(
    shelf: Shelf, news: NewsReads
) -> None:
    """Read at one instant with what the tasks show."""
    caller = await shelf.caller()
    task = await shelf.submitted(caller)
    pages = news.snapshot(0, caller=caller, now_ms=shelf.clock.now_ms())
    before = await anext(pages)
    shelf.clock.advance_ms(1_000)
    await shelf.move(task, TaskState.COMPLETED)

    (page,) = [page async for page in pages if page.bodies]

    assert page.bodies == {task.id: b'{"status":"completed"}'}
    (missed,) = await told(news, shelf, caller, before.place)
    assert page.place == missed.place


async def test_a_snapshot_for_a_subject_has_its_own_tasks_alone(
    shelf: Shelf, news: NewsReads
) -> None:
    """As its news do."""
    key = await shelf.caller()
    token = key.model_copy(update={"subject": "user-1"})
    place = await start(news, shelf, key)
    await shelf.submitted(key)
    own = await shelf.submitted(token)

    _, shown = await shown_instead(news, shelf, token, 0)

    assert shown == [own.body]
    assert [entry.subject for entry in await told(news, shelf, key, place)] == ["", "user-1"]
