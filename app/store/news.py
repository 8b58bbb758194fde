"""News of tasks as followers read them: what was told after a place, and what to look at instead.

The scripts that change tasks write the news (`shared/news.lua`); here they are read alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from app.domain.contract import with_queue_position
from app.domain.ids import Mode
from app.domain.news import MAX_SNAPSHOT, NewsEntry, Place
from app.domain.task import FINAL, TaskState
from app.domain.tenant import Caller
from app.errors import TaskNotFound
from app.store.keys import Shard, caller_keys
from app.store.refusals import refusal
from app.store.scripts import Script, store_errors

PAGE: Final = 100
"""Entries, or tasks of a snapshot, that are read at once."""

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

    async def snapshot_ids(
        self, *, tenant_id: str, mode: Mode, now_ms: int
    ) -> tuple[Place, list[str]]:
        """Return where the news stand, and the tasks to look at in their place, newest first."""
        shard = Shard.of(tenant_id)
        outcome, *rest = await self._news_snapshot(
            epoch=shard.epoch,
            news=shard.news(tenant_id, mode),
            open=shard.listed(tenant_id, mode, "open"),
            all=shard.listed(tenant_id, mode, "all"),
            now_ms=now_ms,
            epoch_id=self._epoch_id,
            most=MAX_SNAPSHOT,
        )
        _refuse(outcome, rest)
        place, *flat = rest
        created = sorted(zip(map(float, flat[1::2]), flat[::2], strict=True), reverse=True)
        return _place(place), [task_id.decode() for _, task_id in created]

    async def changed(
        self, task_ids: list[str], since_ms: int, *, caller: Caller, now_ms: int
    ) -> AsyncIterator[list[bytes]]:
        """Yield, page by page, the answers of tasks that are open or have ended since an instant.

        Raises:
            InvalidKey, TenantDisabled, StoreForeign: the caller may not see them.
        """
        shard = Shard.of(caller.tenant_id)
        for first in range(0, len(task_ids), PAGE):
            outcome, *rest = await self._read_changed(
                **caller_keys(caller.tenant_id, caller.key_id),
                queue=shard.queue(caller.tenant_id, caller.mode),
                tasks=[shard.task(task_id) for task_id in task_ids[first : first + PAGE]],
                now_ms=now_ms,
                epoch_id=self._epoch_id,
                tenant_id=caller.tenant_id,
                mode=caller.mode,
                subject=caller.subject,
                since_ms=since_ms - CLOCK_MARGIN_MS,
            )
            _refuse(outcome, rest)
            yield [
                with_queue_position(body, position)
                for body, position in zip(rest[::2], rest[1::2], strict=True)
            ]


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
