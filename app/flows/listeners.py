"""Who waits for news in this process: open streams and waiting reads, by the tasks they follow."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from app.domain.ids import Mode
from app.domain.news import NewsEntry, Place, place_bytes
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
    there is by now, `sending_since_s` while the server does not take what is written. One that is
    not behind has all that its group has, whatever its `place`.
    """

    __slots__ = (
        "_send",
        "_shown",
        "_shown_until",
        "abort",
        "caller",
        "is_behind",
        "is_busy",
        "is_ended",
        "is_final",
        "last_words",
        "origin",
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
        self.place = self._shown_until = Place(0, 0)
        self._shown: dict[str, Place] = {}
        self.is_busy = self.is_behind = True
        self.is_ended = self.is_final = False
        self.last_words = b""
        self.origin = ""
        """Of the page that listens, where its tenant must go on naming that."""
        self.sending_since_s = 0.0

    def wants(self, entry: NewsEntry) -> bool:
        """Say whether an entry is for this stream."""
        return self.task_id in (EVERY_TASK, entry.task_id) and (
            not self.caller.subject or entry.subject == self.caller.subject
        )

    def has_shown(self, task_ids: list[str], place: Place) -> None:
        """Note tasks of which all is told up to a place that is further than the stream's own."""
        if place > self.place:
            self._shown.update(dict.fromkeys(task_ids, place))
            self._shown_until = place

    def reach(self, place: Place) -> None:
        """Note that everything up to a place has been told, or is not for this stream."""
        self.place = max(self.place, place)
        if self._shown and self.place >= self._shown_until:
            self._shown = {}

    def fall_behind(self, had: Place | None) -> None:
        """Note that there may be news for it after what its group had, which it had as well."""
        if not self.is_behind:
            self.is_behind = True
            if had is not None:
                self.reach(had)

    async def start(self, head: list[tuple[bytes, bytes]]) -> None:
        """Begin the answer."""
        await self._hand_over({"type": "http.response.start", "status": 200, "headers": head})

    async def send(self, body: bytes) -> None:
        """Write, for as long as the client takes to make room."""
        await self._hand_over({"type": "http.response.body", "body": body, "more_body": True})

    async def _hand_over(self, message: dict[str, Any]) -> None:
        self.sending_since_s = asyncio.get_running_loop().time()
        try:
            await self._send(message)
        finally:
            self.sending_since_s = 0.0

    async def tell(self, entries: list[NewsEntry]) -> None:
        """Write what of these it wants; after the last news of its one task it has ended."""
        wanted = [entry for entry in entries if self.wants(entry)]
        if wanted:
            await self.send(b"".join([self._as_told(entry) for entry in wanted]))
            if self.task_id and any(entry.is_last for entry in wanted):
                self.end()
        self.reach(entries[-1].place)

    def _as_told(self, entry: NewsEntry) -> bytes:
        """Return an entry as it is sent: no more than its place, where it has been shown."""
        shown_until = self._shown.get(entry.task_id) if self._shown else None
        if shown_until is not None and entry.place <= shown_until:
            return place_bytes(entry.place)
        return entry.as_event

    def end(self, last_words: bytes = b"") -> None:
        """Let nothing more be written but the last words."""
        if not self.is_ended:
            self.is_ended, self.last_words = True, last_words

    async def close(self) -> None:
        """Write the last words, and the end of the answer."""
        if self.last_words:
            await self.send(self.last_words)
        await self._hand_over({"type": "http.response.body", "body": b"", "more_body": False})


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
            self._recent = []

    def hand_on(self, entries: list[NewsEntry]) -> list[Stream]:
        """Take further news, and return the streams that must be told.

        All of them are behind from now on: whoever writes to one next tells it everything.
        """
        before = self.place
        entries = [entry for entry in entries if before is not None and entry.place > before]
        if before is None or not entries:
            return []
        self.place = entries[-1].place
        self._recent += entries
        if len(self._recent) > MOST_RECENT:
            dropped = self._recent[:-MOST_RECENT]
            self._base, self._recent = dropped[-1].place, self._recent[-MOST_RECENT:]
        found = self._interested(entries)
        for stream in found:
            stream.fall_behind(before)
        return found

    def _interested(self, entries: list[NewsEntry]) -> list[Stream]:
        subjects = {"", *(entry.subject for entry in entries)}
        everything = self.streams.get(EVERY_TASK, ())
        found = [stream for stream in everything if stream.caller.subject in subjects]
        for task_id, entry in {entry.task_id: entry for entry in entries}.items():
            streams = self.streams.get(task_id, ())
            found += [stream for stream in streams if stream.wants(entry)]
        return found

    def since(self, place: Place) -> list[NewsEntry] | None:
        """Return what was handed on after a place; None where that is not at hand any more."""
        if self.place is None or place >= self.place:
            return []
        if self._base is None or place < self._base:
            return None
        return self._recent[bisect_right(self._recent, place, key=_place_of) :]

    def tidy(self) -> None:
        """Keep nothing for streams that are at rest."""
        if not self.writing:
            self._recent, self._base = [], self.place


def _place_of(entry: NewsEntry) -> Place:
    return entry.place
