"""News for whoever waits: one reading of a tenant's news serves all who follow it in this process.

The channel only wakes. What is told is read: from the tenant's stream of news, or from the task.
While the channel is cut off, whoever waits is looked after once a second instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from app.clock import Clock
from app.detached import DetachedWork
from app.domain.tenant import Caller
from app.errors import GatewayError, Stopping, StoreUnavailable
from app.flows.audience import Audience
from app.flows.listeners import Group, Stream, Wait
from app.flows.tell import TellNews, come_again_bytes
from app.flows.vigil import KeepVigil
from app.store.news import Following, NewsReads
from app.store.news_channel import Ear, NewsChannel
from app.store.task_reads import TaskRead, TaskReads
from app.telemetry import Metrics

LAST_WORDS_S: Final = 1.0
"""How long the last words of streams may take once the gateway closes, seconds."""

WORDS_OF_NEWS: Final = 3
"""Tenant, mode and task. What else is said is not ours."""


@dataclass(slots=True)
class FollowNews:
    """Streams and waits of this process; the channel is opened for the first of them."""

    audience: Audience
    channel: NewsChannel
    news: NewsReads
    reads: TaskReads
    tell: TellNews
    vigil: KeepVigil
    work: DetachedWork
    clock: Clock
    metrics: Metrics
    is_draining: bool = field(default=False, init=False)
    _loops: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _to_wake: set[Wait] = field(default_factory=set, init=False)
    _under_way: dict[tuple[Caller, str], tuple[int, asyncio.Task[TaskRead]]] = field(
        default_factory=dict, init=False
    )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve whoever waits, for the time of the block; then say good-bye to who still does."""
        try:
            yield
        finally:
            self.drain()
            for loop in self._loops:
                loop.cancel()
            await self.work.drain(LAST_WORDS_S)

    def drain(self) -> None:
        """Answer every wait, and end every stream: the process is about to stop."""
        self.is_draining = True
        for wait in self.audience.every_wait():
            wait.end()
        for stream in self.audience.every_stream():
            self.tell.end(stream, come_again_bytes())

    def _listen(self) -> None:
        """Open the channel, unless it is; whoever waits before it is open is woken when it is."""
        if self.is_draining:
            raise Stopping
        if not self._loops:
            ear = Ear(self.heed, self._look_around, self._wake_everybody)
            self._loops += [
                self.work.start(self.channel.listen(ear), name="news.channel"),
                self.work.start(self.vigil.keep(self._every_second), name="news.vigil"),
            ]

    @contextmanager
    def waiting(self, caller: Caller, task_id: str) -> Iterator[Wait]:
        """Have a caller woken by the news of a task, for the time of the block.

        Raises:
            TooManyStreams: as many wait as may.
            Stopping: the process is about to stop.
        """
        self._listen()
        wait = Wait(caller, task_id)
        self.audience.add_wait(wait)
        self.metrics.listeners.labels("wait").inc()
        try:
            yield wait
        finally:
            self._to_wake.discard(wait)
            self.audience.remove_wait(wait)
            self.metrics.listeners.labels("wait").dec()

    @contextmanager
    def listening(self, stream: Stream) -> Iterator[None]:
        """Keep a place for a stream for the time of the block; `begin` has it served.

        Raises:
            TooManyStreams: as many are open as may.
            Stopping: the process is about to stop.
        """
        self._listen()
        self.audience.add_stream(stream)
        self.metrics.listeners.labels("stream").inc()
        try:
            yield
        finally:
            stream.end()
            self.audience.remove_stream(stream)
            self.vigil.remove(stream)
            self.tell.forget(stream)
            self.metrics.listeners.labels("stream").dec()

    def place(self, stream: Stream, following: Following) -> None:
        """Note where a stream begins, before anything that takes time is done for it."""
        group = self.audience.group_of(stream)
        group.begin_at(following.place)
        self.vigil.note_end(stream.caller, following.ends_ms)
        if group.is_stale:
            self.tell.tell(group)

    def begin(self, stream: Stream) -> None:
        """Serve a stream whose beginning has been written, up to its `place`."""
        self.vigil.add(stream)
        self.tell.settle(stream)

    async def read_again(self, wait: Wait) -> TaskRead:
        """Return what a task shows now; several waits of one caller for it share one reading.

        While the store is away the wait is woken again every second: the word is said but once.

        Raises:
            GatewayError: as `TaskReads.one`.
        """
        name = wait.caller, wait.task_id
        if name not in self._under_way:
            now_ms = self.clock.now_ms()
            asked = self.reads.one(wait.task_id, caller=wait.caller, now_ms=now_ms)
            self._under_way[name] = now_ms, self.work.start(asked, name="news.task")
            self._under_way[name][1].add_done_callback(lambda done: self._is_read(name, done))
        wait.read_ms, reading = self._under_way[name]
        try:
            return await asyncio.shield(reading)
        except StoreUnavailable:
            self._to_wake.add(wait)
            raise

    def _is_read(self, name: tuple[Caller, str], done: asyncio.Task[TaskRead]) -> None:
        if name in self._under_way and self._under_way[name][1] is done:
            del self._under_way[name]

    def _wake(self, wait: Wait) -> None:
        """Wake a wait; a reading that began before may not know what is new now."""
        self._under_way.pop((wait.caller, wait.task_id), None)
        wait.wake()

    def heed(self, said: str) -> None:
        """Wake those whom a word of the channel concerns."""
        if said.startswith("!"):
            for group in self.audience.of_tenant(said[1:]):
                self._doubt(group)
            return
        if len(said.split(" ")) != WORDS_OF_NEWS:
            return
        tenant_id, mode, task_id = said.split(" ")
        found = self.audience.groups.get((tenant_id, "test" if mode == "test" else "live"))
        if found is not None:
            for wait in list(found.waits.get(task_id, ())):
                self._wake(wait)
            if found.streams:
                self.tell.tell(found)

    def _doubt(self, group: Group) -> None:
        for caller in {stream.caller for stream in group.every_stream()}:
            self.vigil.doubt(caller)
        for wait in group.every_wait():
            self._wake(wait)

    def _wake_everybody(self) -> None:
        """Have everything looked at: whatever was said until now was not heard."""
        for group in list(self.audience.groups.values()):
            group.seen = None
            self._doubt(group)
            if group.streams:
                self.tell.tell(group)

    def _every_second(self) -> None:
        while self._to_wake:
            self._wake(self._to_wake.pop())
        if self.channel.is_open:
            self.tell.try_again()
            self.vigil.check_again()
        else:
            self._look_around()

    def _look_around(self) -> None:
        """Look for what the channel would have said."""
        for group in list(self.audience.groups.values()):
            for caller in {stream.caller for stream in group.every_stream()}:
                self.vigil.doubt(caller)
            if group.streams:
                self.tell.tell(group)
            if group.waits and not group.is_looking:
                group.is_looking = True
                self.work.start(self._look(group), name="news.look")
        self.tell.try_again()

    async def _look(self, group: Group) -> None:
        """Wake the waits of a group whose news have gone on since the last look."""
        try:
            newest = await self.news.newest(tenant_id=group.tenant_id, mode=group.mode)
            if newest != group.seen or group.seen is None:
                group.seen = newest
                for wait in group.every_wait():
                    self._wake(wait)
        except GatewayError:
            # It is looked again in a second.
            return
        finally:
            group.is_looking = False
