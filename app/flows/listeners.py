"""Who waits for news in this process: open streams and waiting reads, by the tasks they follow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from app.domain.ids import Mode
from app.domain.news import NewsEntry, Place
from app.domain.tenant import Caller

EVERY_TASK: Final = ""
"""What a stream follows that follows all tasks of its caller."""

MOST_RECENT: Final = 1_000
"""Entries kept for streams that are being written to: as many as the store keeps for all."""

Send = Callable[[dict[str, Any]], Awaitable[None]]
Abort = Callable[[], None]


class Wait:
    """A read that is put off until its task shows something else.

    `is_over` when it must be answered with what there is, `is_gone` when nobody wants the answer.
    """

    __slots__ = ("caller", "is_gone", "is_over", "read_ms", "task_id", "woken")

    def __init__(self, caller: Caller, task_id: str) -> None:
        self.caller, self.task_id = caller, task_id
        self.woken = asyncio.Event()
        self.is_over = self.is_gone = False
        self.read_ms = 0
        """When the last look at the task began."""

    def wake(self) -> None:
        """Have the task looked at again."""
        self.woken.set()

    def end(self) -> None:
        """Let it be answered now, whatever there is."""
        self.is_over = True
        self.woken.set()

    async def stirred(self, until_s: float) -> bool:
        """Wait until there may be something new; False once the time, or the wait, is over."""
        try:
            async with asyncio.timeout_at(until_s):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return not self.is_over


class Stream:
    """An answer that goes on for as long as its client listens.

    Everything up to `place` has been handed to the server. `is_busy` while somebody writes to it,
    `is_behind` where there may be more than that for it, `is_final` where nothing comes after what
    there is by now, `sending_since_s` while the server does not take what is written.
    """

    __slots__ = (
        "_send",
        "abort",
        "caller",
        "is_behind",
        "is_busy",
        "is_ended",
        "is_final",
        "last_words",
        "place",
        "request_id",
        "sending_since_s",
        "task_id",
    )

    def __init__(
        self, caller: Caller, task_id: str, send: Send, abort: Abort, request_id: str
    ) -> None:
        self.caller, self.task_id, self.request_id = caller, task_id, request_id
        self._send, self.abort = send, abort
        self.place = Place(0, 0)
        self.is_busy = self.is_behind = True
        self.is_ended = self.is_final = False
        self.last_words = b""
        self.sending_since_s = 0.0

    def wants(self, entry: NewsEntry) -> bool:
        """Say whether an entry is for this stream."""
        return self.task_id in (EVERY_TASK, entry.task_id) and (
            not self.caller.subject or entry.subject == self.caller.subject
        )

    async def start(self, head: list[tuple[bytes, bytes]]) -> None:
        """Begin the answer."""
        await self._send({"type": "http.response.start", "status": 200, "headers": head})

    async def send(self, body: bytes) -> None:
        """Write, for as long as the client takes to make room."""
        self.sending_since_s = asyncio.get_running_loop().time()
        try:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            self.sending_since_s = 0.0

    async def tell(self, entries: list[NewsEntry]) -> None:
        """Write what of these it wants; after the last news of its one task it has ended."""
        wanted = [entry for entry in entries if self.wants(entry)]
        if wanted:
            await self.send(b"".join(entry.as_event() for entry in wanted))
            if self.task_id and any(entry.is_last for entry in wanted):
                self.end()
        self.place = max(self.place, entries[-1].place)

    def end(self, last_words: bytes = b"") -> None:
        """Let nothing more be written but the last words."""
        if not self.is_ended:
            self.is_ended, self.last_words = True, last_words

    async def close(self) -> None:
        """Write the last words, and the end of the answer."""
        if self.last_words:
            await self.send(self.last_words)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class Group:
    """All who wait for news of one tenant's mode, and how far its news have been read for them."""

    __slots__ = (
        "_base",
        "_recent",
        "is_looking",
        "is_reading",
        "is_stale",
        "mode",
        "place",
        "seen",
        "size",
        "streams",
        "tenant_id",
        "waits",
        "writing",
    )

    def __init__(self, tenant_id: str, mode: Mode) -> None:
        self.tenant_id, self.mode = tenant_id, mode
        self.streams: dict[str, set[Stream]] = {}
        self.waits: dict[str, set[Wait]] = {}
        self.place: Place | None = None
        """Up to where the news have been handed on; None before the first stream knows it."""
        self.seen: Place | None = None
        """The last news there were when somebody looked, while nobody was told of any."""
        self.is_stale = self.is_reading = self.is_looking = False
        self.writing = 0
        self.size = 0
        """How many streams and waits there are."""
        self._base: Place | None = None
        self._recent: list[NewsEntry] = []

    def every_stream(self) -> Iterator[Stream]:
        """Yield all streams, also where some end meanwhile."""
        for streams in list(self.streams.values()):
            yield from list(streams)

    def every_wait(self) -> Iterator[Wait]:
        """Yield all waits, also where some end meanwhile."""
        for waits in list(self.waits.values()):
            yield from list(waits)

    def begin_at(self, place: Place) -> None:
        """Note where the news stand, for the first stream; later ones may be further."""
        if self.place is None:
            self.place = self._base = place

    def hand_on(self, entries: list[NewsEntry]) -> Iterator[Stream]:
        """Take further news, and yield the streams at rest that must be told."""
        before = self.place
        entries = [entry for entry in entries if before is not None and entry.place > before]
        if before is None or not entries:
            return
        self.place = entries[-1].place
        self._recent += entries
        if len(self._recent) > MOST_RECENT:
            dropped = self._recent[:-MOST_RECENT]
            self._base, self._recent = dropped[-1].place, self._recent[-MOST_RECENT:]
        for stream in self._interested(entries):
            if not stream.is_behind:
                # It had everything that the group had.
                stream.place = max(stream.place, before)
            if not stream.is_busy:
                yield stream
        self.tidy()

    def _interested(self, entries: list[NewsEntry]) -> set[Stream]:
        found: set[Stream] = set()
        for entry in entries:
            for name in (EVERY_TASK, entry.task_id):
                streams = self.streams.get(name, ())
                found.update(stream for stream in streams if stream.wants(entry))
        return found

    def since(self, place: Place) -> list[NewsEntry] | None:
        """Return what was handed on after a place; None where that is not at hand any more."""
        if self.place is None or place >= self.place:
            return []
        if self._base is None or place < self._base:
            return None
        return [entry for entry in self._recent if entry.place > place]

    def tidy(self) -> None:
        """Keep nothing for streams that are at rest."""
        if not self.writing:
            self._recent, self._base = [], self.place
