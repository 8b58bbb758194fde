"""News of tasks as followers read them: what was told after a place, and what to look at instead.

The scripts that change tasks write the news (`shared/news.lua`); here they are read alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from app.domain.contract import with_queue_position
from app.domain.ids import Mode
from app.domain.listing import ListName
from app.domain.news import NewsEntry, Place
from app.domain.task import FINAL, TaskState
from app.domain.tenant import Caller
from app.errors import TaskNotFound
from app.store.keys import Shard, caller_keys
from app.store.refusals import refusal
from app.store.scripts import Script, store_errors

PAGE: Final = 100
"""Entries, or tasks of a snapshot, that are read at once."""

IDS_PAGE: Final = 500
"""Ids of tasks that are read at once when news have to be made up for."""

MOST_LOOKED_AT: Final = 10_000
"""Tasks, and older open ones, that are looked at for those which a caller may have missed."""

CLOCK_MARGIN_MS: Final = 60_000
"""How far the clocks of two processes may be apart for a snapshot to miss nothing."""


class NewsTrimmed(Exception):
    """Some of what was told after a place is gone: only a snapshot shows what has become of it."""


@dataclass(frozen=True, slots=True)
class Following:
    """Where a caller begins to follow.

    `place` is up to where all is known; `resumes` says that all told after the caller's own last
    place is still there; `ends_ms` is when its key ends, None where that is not planned.
    """

    place: Place
    resumes: bool
    ends_ms: int | None


@dataclass(frozen=True, slots=True)
class FollowedTask:
    """A task at the place where it begins to be followed."""

    following: Following
    body: bytes
    finished: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What some tasks show, by their ids, and up to where in the news that tells all of them."""

    place: Place
    bodies: dict[str, bytes]


class NewsReads:
    """Everything that followers ask; each reading checks that the store is the right one."""

    def __init__(self, redis: Redis, epoch_id: str) -> None:
        self._redis, self._epoch_id = redis, epoch_id
        self._check_caller = Script(redis, "check_caller")
        self._read_news = Script(redis, "read_news")
        self._follow_task = Script(redis, "follow_task")
        self._follow_tenant = Script(redis, "follow_tenant")
        self._news_snapshot = Script(redis, "news_snapshot")
        self._read_changed = Script(redis, "read_changed")

    async def after(
        self, place: Place, *, tenant_id: str, mode: Mode, now_ms: int
    ) -> list[NewsEntry]:
        """Return the next entries after a place, oldest first, at most `PAGE`.

        Raises:
            NewsTrimmed: some of them are gone.
            StoreForeign: the store was emptied or exchanged.
        """
        shard = Shard.of(tenant_id)
        outcome, *rest = await self._read_news(
            epoch=shard.epoch,
            news=shard.news(tenant_id, mode),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            after=str(place),
            limit=PAGE,
        )
        if outcome == b"trimmed":
            raise NewsTrimmed
        _refuse(outcome, rest)
        return [_entry(*each) for each in rest]

    async def follow_task(
        self, task_id: str, last: Place | None, *, caller: Caller, now_ms: int
    ) -> FollowedTask:
        """Return a task of a caller's, and where to go on from there.

        Raises:
            TaskNotFound: unknown, expired, foreign, or of the tenant's other mode.
            InvalidKey, TenantDisabled, StoreForeign: the caller may not follow it.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._follow_task(
            **caller_keys(caller.tenant_id, caller.key_id),
            news=shard.news(caller.tenant_id, caller.mode),
            task=shard.task(task_id),
            queue=shard.queue(caller.tenant_id, caller.mode),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            task_id=task_id,
            tenant_id=caller.tenant_id,
            mode=caller.mode,
            subject=caller.subject,
            last="" if last is None else str(last),
        )
        if outcome == b"unknown":
            raise TaskNotFound
        _refuse(outcome, rest)
        place, resumes, ends_ms, body, state, position = rest
        return FollowedTask(
            _following(place, resumes, ends_ms),
            with_queue_position(body, position),
            TaskState(state.decode()) in FINAL,
        )

    async def follow_tenant(self, last: Place | None, *, caller: Caller, now_ms: int) -> Following:
        """Return where a caller begins to follow all of its tasks.

        Raises:
            InvalidKey, TenantDisabled, StoreForeign: it may not.
        """
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._follow_tenant(
            **caller_keys(caller.tenant_id, caller.key_id),
            news=shard.news(caller.tenant_id, caller.mode),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            last="" if last is None else str(last),
        )
        _refuse(outcome, rest)
        return _following(*rest)

    async def check(self, caller: Caller, *, now_ms: int) -> int | None:
        """Let a caller go on that still may; returns when its key ends, None for no planned end.

        Raises:
            InvalidKey, TenantDisabled, StoreForeign: it may not.
        """
        outcome, *rest = await self._check_caller(
            **caller_keys(caller.tenant_id, caller.key_id), now_ms=now_ms, epoch_id=self._epoch_id
        )
        _refuse(outcome, rest)
        return int(rest[0]) if rest[0] else None

    async def newest(self, *, tenant_id: str, mode: Mode) -> Place | None:
        """Return the place of the last news, None where there are none."""
        with store_errors():
            name = Shard.of(tenant_id).news(tenant_id, mode)
            found: Any = await self._redis.xrevrange(name, count=1)
        return _place(found[0][0]) if found else None

    async def snapshot(
        self, since_ms: int, *, caller: Caller, now_ms: int
    ) -> AsyncGenerator[Shown, None]:
        """Yield, page by page and newest first, tasks that are open or have ended since an instant.

        Before them comes where the news stand: what is told from there on is in no page, or again.

        Raises:
            InvalidKey, TenantDisabled, StoreForeign: the caller may not see them.
        """
        is_placed = False
        async for place, task_ids in self._newest_first(caller, now_ms):
            if not is_placed:
                is_placed = True
                yield Shown(place, {})
            for first in range(0, len(task_ids), PAGE):
                yield await self._changed(
                    task_ids[first : first + PAGE],
                    since_ms - CLOCK_MARGIN_MS,
                    caller=caller,
                    now_ms=now_ms,
                )

    async def _newest_first(
        self, caller: Caller, now_ms: int
    ) -> AsyncGenerator[tuple[Place, list[str]], None]:
        """Yield the ids of a tenant's newest tasks, then of open ones that are older still."""
        shard = Shard.of(caller.tenant_id)
        # A page begins with all that were created when the last one ended: lists change meanwhile.
        before, skip, seen = b"+inf", 0, set[bytes]()
        lists: tuple[ListName, ...] = ("all", "open")
        for which in lists:
            for _ in range(-(-MOST_LOOKED_AT // IDS_PAGE)):
                outcome, *rest = await self._news_snapshot(
                    epoch=shard.epoch,
                    news=shard.news(caller.tenant_id, caller.mode),
                    listed=shard.listed(caller.tenant_id, caller.mode, which),
                    now_ms=now_ms,
                    epoch_id=self._epoch_id,
                    before=before,
                    skip=skip,
                    limit=IDS_PAGE,
                )
                _refuse(outcome, rest)
                place, *flat = rest
                found, created = flat[::2], flat[1::2]
                yield _place(place), [each.decode() for each in found if each not in seen]
                seen.update(found)
                if created:
                    skip = created.count(created[-1]) + (skip if created[-1] == before else 0)
                    before = created[-1]
                if len(found) < IDS_PAGE:
                    break
            skip = 0

    async def _changed(
        self, task_ids: list[str], since_ms: int, *, caller: Caller, now_ms: int
    ) -> Shown:
        shard = Shard.of(caller.tenant_id)
        outcome, *rest = await self._read_changed(
            **caller_keys(caller.tenant_id, caller.key_id),
            news=shard.news(caller.tenant_id, caller.mode),
            queue=shard.queue(caller.tenant_id, caller.mode),
            tasks=[shard.task(task_id) for task_id in task_ids],
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            tenant_id=caller.tenant_id,
            mode=caller.mode,
            subject=caller.subject,
            since_ms=since_ms,
        )
        _refuse(outcome, rest)
        place, *flat = rest
        found = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        return Shown(
            _place(place),
            {task_id.decode(): with_queue_position(body, rank) for task_id, body, rank in found},
        )


def _refuse(outcome: bytes, rest: list[Any]) -> None:
    if outcome == b"refused":
        raise refusal(rest[0])


def _following(place: bytes, resumes: int, ends_ms: bytes) -> Following:
    return Following(_place(place), bool(resumes), int(ends_ms) if ends_ms else None)


def _place(text: bytes) -> Place:
    at_ms, _, number = text.partition(b"-")
    return Place(int(at_ms), int(number))


def _entry(place: bytes, flat: list[bytes]) -> NewsEntry:
    found = dict(zip(flat[::2], flat[1::2], strict=True))
    return NewsEntry(
        place=_place(place),
        task_id=found[b"task"].decode(),
        event=found[b"event"].decode(),
        subject=found[b"subject"].decode(),
        body=found[b"body"],
    )
