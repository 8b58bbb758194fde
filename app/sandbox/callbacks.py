"""Notices to `callback_url`: what the vendor would send, when, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import httpx2

from app.sandbox import life
from app.sandbox.clock import SandboxClock
from app.sandbox.task_ids import Ticket

TIME_LIMIT_S: Final = 10
RETRY_MS: Final = (1000, 2000, 4000)
LATE_MS: Final = 30_000
MOST_ATTEMPTS_KEPT: Final = 200_000

_MOST_AT_ONCE: Final = 16
# Nobody says when the clock was moved from outside, so it is looked at this often.
_LOOK_AGAIN_S: Final = 0.05


class CallbacksFull(Exception):
    """No further attempt could be written down; nothing was created."""


@dataclass(frozen=True, slots=True, order=True)
class Notice:
    """One message that is to be sent; `truth` is false for one about an end that never was."""

    due_ms: int
    number: int
    task_id: str = field(compare=False)
    ticket: Ticket = field(compare=False)
    url: str = field(compare=False)
    truth: bool = field(compare=False, default=True)
    attempt: int = field(compare=False, default=0)

    def body(self, now_ms: int) -> dict[str, Any] | None:
        """What it says: the answer a query would get, or for a forged one a made-up end."""
        if self.truth:
            return life.report(self.ticket, self.task_id, now_ms)
        ended = replace(
            self.ticket.scenario, run_ms=0, outcome="completed", lost_ms=None, regress_ms=None
        )
        return life.report(replace(self.ticket, scenario=ended), self.task_id, now_ms)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending one notice once: a status, or the kind of failure."""

    seq: int
    at_ms: int
    task_id: str
    url: str
    attempt: int
    forged: bool
    status: int | None
    failure: str | None


class Callbacks:
    """The notices of one sandbox, sent by `run` when the sandbox clock says so."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._waiting: list[Notice] = []
        self._attempts: list[Attempt] = []
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._planned = 0
        self._made = 0

    def require_room(self) -> None:
        """Refuse to begin what could not be written down.

        Raises:
            CallbacksFull: clear the attempts to go on.
        """
        if len(self._attempts) + len(self._waiting) >= MOST_ATTEMPTS_KEPT:
            raise CallbacksFull(f"the sandbox holds {MOST_ATTEMPTS_KEPT} callback attempts")

    def plan(self, task_id: str, ticket: Ticket, url: str) -> None:
        """Decide what will be sent for a new task."""
        for due_ms, truth in _planned(ticket):
            self._add(Notice(due_ms, self._planned, task_id, ticket, url, truth))

    def attempts(self) -> list[dict[str, Any]]:
        """What was sent so far, oldest first, as JSON."""
        return [asdict(attempt) for attempt in self._attempts]

    def clear(self) -> None:
        """Forget the attempts, and the notices that still wait."""
        self._attempts.clear()
        self._waiting.clear()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send notices as they fall due; on leaving, stop at once and leave nothing behind."""
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._run())
            try:
                yield
            finally:
                sending.cancel()

    async def _run(self) -> None:
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=TIME_LIMIT_S) as client,
            asyncio.TaskGroup() as group,
        ):
            while True:
                for notice in self._due():
                    group.create_task(self._send(client, notice))
                await self._wait()

    def _due(self) -> Iterator[Notice]:
        now_ms = self._clock.now_ms()
        while self._waiting and self._waiting[0].due_ms <= now_ms:
            yield heapq.heappop(self._waiting)

    async def _wait(self) -> None:
        self._changed.clear()
        limit_s = _LOOK_AGAIN_S if self._waiting else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._changed.wait()

    async def _send(self, client: httpx2.AsyncClient, notice: Notice) -> None:
        body = notice.body(self._clock.now_ms())
        if body is None:
            return
        status, failure = None, None
        async with self._slots:
            try:
                async with asyncio.timeout(TIME_LIMIT_S):
                    answer = await client.post(notice.url, json=body)
                status = answer.status_code
            except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as reason:
                failure = type(reason).__name__
        self._note(notice, status, failure)
        received = status is not None and 200 <= status < 300  # noqa: PLR2004  # HTTP's own words
        if not received and notice.attempt < len(RETRY_MS):
            due_ms = self._clock.now_ms() + RETRY_MS[notice.attempt]
            again = replace(notice, due_ms=due_ms, attempt=notice.attempt + 1)
            self._add(replace(again, number=self._planned))

    def _note(self, notice: Notice, status: int | None, failure: str | None) -> None:
        self._made += 1
        self._attempts.append(
            Attempt(
                seq=self._made,
                at_ms=self._clock.source_ms(),
                task_id=notice.task_id,
                url=notice.url,
                attempt=notice.attempt,
                forged=not notice.truth,
                status=status,
                failure=failure,
            )
        )

    def _add(self, notice: Notice) -> None:
        self._planned += 1
        heapq.heappush(self._waiting, notice)
        self._changed.set()


def _planned(ticket: Ticket) -> Iterator[tuple[int, bool]]:
    """When something is sent, and whether it is true."""
    if ticket.scenario.callback in ("early", "forged"):
        yield ticket.created_ms, ticket.scenario.callback == "early"
    end_ms = ticket.end_ms
    if end_ms is None or ticket.scenario.callback == "lost":
        return
    yield end_ms + (LATE_MS if ticket.scenario.callback == "late" else 0), True
    if ticket.scenario.callback == "twice":
        yield end_ms, True
