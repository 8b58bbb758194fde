"""Reading the news of a tenant once, and writing them to each stream at the pace of its client."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Final

from app.clock import Clock
from app.detached import DetachedWork
from app.domain.news import NewsEntry, Place, retry_bytes
from app.errors import GatewayError
from app.flows.audience import Audience
from app.flows.listeners import Group, Stream
from app.store.news import PAGE, NewsReads, NewsTrimmed

STUCK_S: Final = 5.0
"""How long a client may take to make room before it is hung up on; it goes on where it was."""

AT_A_TIME: Final = 100
"""Streams that are written to before everything else gets its turn."""

EARLIEST_RETURN_MS: Final = 1_000
LATEST_RETURN_MS: Final = 5_000


def come_again_bytes() -> bytes:
    """Return the order to connect again soon, but not all at once."""
    spread_ms = LATEST_RETURN_MS - EARLIEST_RETURN_MS
    return retry_bytes(EARLIEST_RETURN_MS + secrets.randbelow(spread_ms + 1))


@dataclass(slots=True)
class TellNews:
    """One reading for each tenant's mode at a time, and one writing for each stream."""

    audience: Audience
    news: NewsReads
    clock: Clock
    work: DetachedWork
    stuck_s: float = STUCK_S
    _put_off: set[Stream] = field(default_factory=set, init=False)

    def tell(self, group: Group) -> None:
        """Read what is new for a group's streams, and write it to them."""
        group.is_stale = True
        if not group.is_reading and group.place is not None:
            group.is_reading = True
            self.work.start(self._read(group), name="news.read")

    async def _read(self, group: Group) -> None:
        try:
            while group.is_stale and group.place is not None:
                group.is_stale = False
                entries = await self._after(group.place, group)
                await self._write_all(group, group.hand_on(entries))
                if len(entries) == PAGE:
                    group.is_stale = True
        except NewsTrimmed:
            # What they missed is told when they come again.
            for stream in group.every_stream():
                self.end(stream, come_again_bytes())
            group.place = None
        except GatewayError:
            group.is_stale = True
        finally:
            group.is_reading = False

    async def _write_all(self, group: Group, streams: list[Stream]) -> None:
        """Write to some streams at a time, keeping the news at hand until the last has begun."""
        group.writing += 1
        try:
            for number, stream in enumerate(streams, 1):
                self.write(stream)
                if number % AT_A_TIME == 0:
                    await asyncio.sleep(0)
        finally:
            group.writing -= 1
            group.tidy()

    async def _after(self, place: Place, group: Group) -> list[NewsEntry]:
        return await self.news.after(
            place, tenant_id=group.tenant_id, mode=group.mode, now_ms=self.clock.now_ms()
        )

    def settle(self, stream: Stream) -> None:
        """Take over a stream whose beginning has been written."""
        self._start(stream)

    def write(self, stream: Stream, words: bytes = b"") -> None:
        """Write some words to a stream at rest, and all that is news for it."""
        if not (stream.is_busy or stream.is_ended):
            self._start(stream, words)

    def end(self, stream: Stream, last_words: bytes = b"") -> None:
        """End a stream after what is being written to it."""
        if not stream.is_ended:
            stream.end(last_words)
            if not stream.is_busy:
                self._start(stream)

    def _start(self, stream: Stream, words: bytes = b"") -> None:
        group = self.audience.group_of(stream)
        # What comes while this is written would take it for one that has everything up to then.
        stream.fall_behind(group.place)
        if not stream.is_busy:
            stream.is_busy = True
            group.writing += 1
        self.work.start(self._write(stream, group, words), name="news.write")

    async def _write(self, stream: Stream, group: Group, words: bytes) -> None:
        try:
            if words:
                await stream.send(words)
            await self._catch_up(stream, group)
            if stream.is_ended:
                await stream.close()
        finally:
            if stream.is_busy:
                stream.is_busy = False
                group.writing -= 1
            group.tidy()

    async def _catch_up(self, stream: Stream, group: Group) -> None:
        """Write entry after entry until the stream has all that its group has."""
        stream.is_behind = True
        try:
            while not stream.is_ended:
                entries = None if stream.is_final else group.since(stream.place)
                if entries is None:
                    entries = await self._after(stream.place, group)
                if not entries:
                    stream.is_behind = False
                    if stream.is_final:
                        stream.end()
                    return
                await stream.tell(entries[:PAGE])
        except NewsTrimmed:
            stream.end(come_again_bytes())
        except GatewayError:
            self._put_off.add(stream)

    def try_again(self) -> None:
        """Do what could not be done while the store was away."""
        for group in list(self.audience.groups.values()):
            if group.is_stale and group.streams:
                self.tell(group)
        put_off, self._put_off = self._put_off, set()
        for stream in put_off:
            self.write(stream)

    def forget(self, stream: Stream) -> None:
        """Let go of a stream whose client has gone."""
        self._put_off.discard(stream)

    def hang_up_on_the_stuck(self) -> None:
        """Cut off clients that take nothing, be it of the first words or of the last ones."""
        since_s = asyncio.get_running_loop().time() - self.stuck_s
        for stream in self.audience.every_stream():
            if 0.0 < stream.sending_since_s < since_s:
                stream.end()
                stream.abort()
